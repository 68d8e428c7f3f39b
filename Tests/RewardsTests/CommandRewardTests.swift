import Foundation
import OrderedCollections
import Rewards
import Testing
import Text

@Suite struct CommandRewardTests {
  private let two = [
    Completion(prompt: "1 + 1?", messages: [Message(role: "user", content: "1 + 1?")], text: "2\nor so", columns: ["answer": 2]),
    Completion(prompt: "a", text: "b", isFinished: false),
  ]

  private func score(_ command: String, timeout: Double = 20) throws -> RewardScores {
    try Rewards.make("command", ["command": .string(command), "timeout": .double(timeout)]).open().score(two)
  }

  @Test func aLineInIsALineOut() throws {
    #expect(try score("while read -r line; do echo 1.5; done").values == [1.5, 1.5])
    #expect(try score("printf '0.25\\nnull'").values == [0.25, nil])
    // The second line in is all of the second completion: the line break in the first is escaped.
    let expected = #"{"prompt":"a","completion":"b","finished":false,"columns":{}}"#
    #expect(try score("read -r x; read -r line; [ \"$line\" = '\(expected)' ] && printf '1\\n2\\n'").values == [1, 2])
    #expect(
      try score(#"grep -q '"columns":{"answer":2},"messages":\[{"role":"user","content":"1 + 1?"}\]' && printf '3\n4\n'"#).values
        == [3, 4])
  }

  @Test func aProgramCanBeRunWithoutAShell() throws {
    let reward = try Rewards.make("command", ["command": ["printf", "%s\\n", "$HOME", "7"]]).open()
    let scores = reward.score(two)
    #expect(scores.values == [nil, 7])
    #expect(scores.problems.count == 1 && scores.problems[0].contains("$HOME"))
  }

  @Test(
    arguments: [
      ("exit 3", [nil, nil], "status 3"), ("echo 5; echo broken >&2; exit 1", [5, nil], "broken"),
      ("true", [nil, nil], "0 scores for 2"),
      ("printf '1\\n2\\n3\\n'", [nil, nil], "3 lines for 2"), ("printf 'good\\n2\\n'", [nil, 2], "“good” on line 1"),
      ("printf 'nan\\ninf\\n'", [nil, nil], "“nan”"), ("kill -9 $$", [nil, nil], "signal 9"),
      ("head -c 9 /dev/urandom", [nil, nil], "wrote"),
    ] as [(String, [Double?], String)])
  func failuresAreReportedAndScoreNothing(command: String, values: [Double?], says: String) throws {
    let scores = try score(command)
    #expect(scores.values == values)
    #expect(scores.problems.contains { $0.contains(says) }, "\(scores.problems)")
  }

  @Test func aProgramThatHangsIsStoppedWithAllItStarted() throws {
    let mark = FileManager.default.temporaryDirectory.appending(path: "attune-test-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: mark) }
    let scores = try score("echo 1; echo 0.; (sleep 3; touch '\(mark.path)') & sleep 600", timeout: 0.5)
    #expect(scores.values == [1, 0])
    #expect(scores.problems.contains { $0.contains("0.5 s and was stopped") })
    usleep(3_500_000)
    #expect(!FileManager.default.fileExists(atPath: mark.path))
  }

  @Test func aProgramThatIsNotThereIsReported() throws {
    let reward = try Rewards.make("command", ["command": ["attune-no-such-program", "x"]]).open()
    let scores = reward.score(two)
    #expect(scores.values == [nil, nil])
    #expect(scores.problems.first?.contains("cannot be started") == true)
  }
}
