import Foundation
import Testing

@testable import Judging

@Suite struct PaceTests {
  @Test func turnsKeepTheirDistance() {
    let pace = RequestPace(perMinute: 120)
    let start = ContinuousClock.now
    #expect((0..<4).map { _ in pace.turn(now: start) } == [.zero, .seconds(0.5), .seconds(1), .seconds(1.5)])
    // A pause is not made up for by a burst.
    #expect(pace.turn(now: start + .seconds(10)) == .zero)
    #expect(pace.turn(now: start + .seconds(10)) == .seconds(0.5))
    let free = RequestPace(perMinute: nil)
    #expect((0..<3).map { _ in free.turn(now: start) } == [.zero, .zero, .zero])
  }

  @Test func delaysGrowAndEnd() throws {
    var settings = EndpointSettings(base: try #require(URL(string: "http://localhost")), model: "m")
    settings.firstDelay = 2
    for (number, most) in [(1, 2.0), (2, 4), (3, 8), (6, 60), (60, 60)] {
      let delay = settings.delay(after: number, askedFor: nil)
      #expect((most / 2...most).contains(delay))
    }
    #expect(settings.delay(after: 1, askedFor: 7) == 7)
    #expect(settings.delay(after: 1, askedFor: 1e9) == 300)
    #expect(settings.delay(after: 1, askedFor: -1) == 0)
  }

  @Test func aPauseEndsWhereItIsNotWanted() {
    #expect(!pause(.seconds(3600), unless: { true }))
    #expect(pause(.zero, unless: { false }))
  }
}
