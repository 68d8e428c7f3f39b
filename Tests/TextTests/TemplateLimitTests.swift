import Foundation
import OrderedCollections
import Testing

@testable import Text

@Suite("Templates that ask for too much")
struct TemplateLimitTests {
  private func render(
    _ source: String, _ variables: OrderedDictionary<String, JSON> = [:], limits: TemplateLimits = TemplateLimits()
  ) throws -> String {
    let body = try TemplateParser.parse(source, template: "greedy").body
    return try TemplateInterpreter.render(
      body, variables: variables, limits: limits, clock: TemplateGoldens.clock, template: "greedy"
    ).text
  }

  private static func nested(_ count: Int, _ opening: String, _ middle: String, _ closing: String) -> String {
    String(repeating: opening, count: count) + middle + String(repeating: closing, count: count)
  }

  @Test(
    "is stopped by a limit",
    arguments: [
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{% if true %}{{ a() }}{% endif %}{% endmacro %}{{ a() }}",
      "{{ 'x' * 1000000000000 }}", "{{ 'x' * 9223372036854775807 }}", "{{ [0] * 9223372036854775807 }}", "{{ [0] * 1000000000 }}",
      "{{ range(100001)|list }}", "{{ range(9223372036854775807)|list }}",
      "{{ range(-9223372036854775807, 9223372036854775807)|list }}",
      "{{ 'x'|center(100000000000) }}", "{{ 'x'.ljust(100000000000) }}", "{{ '5'.zfill(100000000000) }}",
      "{{ 'a\nb'|indent(100000000000) }}", "{{ '%100000000000d' % 5 }}", "{{ '{:100000000000}'.format(5) }}",
      "{{ '{:.100000000000f}'.format(5.5) }}", "{{ [[1]]|tojson(indent=100000000000) }}",
      "{% set ns = namespace(t='x') %}{% for i in range(100) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
      "{% set ns = namespace(t=[1]) %}{% for i in range(100) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
      "{% set ns = namespace(t=[1]) %}{% for i in range(1000) %}{% set ns.t = [ns.t] %}{% endfor %}",
      "{% set ns = namespace(t=1) %}{% for i in range(1000) %}{% set ns.t = {'a': ns.t} %}{% endfor %}",
      "{% set ns = namespace(t=[1]) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.t }}",
      "{% set ns = namespace(t=[1]) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.t|tojson }}",
      "{% set ns = namespace(t=[1], u=[1]) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% set ns.u = [ns.u, ns.u] %}"
        + "{% endfor %}{{ ns.t == ns.u }}",
      "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
      "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
      "{{ 'aaaa'|replace('a', 'x' * 10000000) }}", "{{ ('x' * 1000000)|list|join('y' * 100) }}",
      "{{ ('x' * 4000000)|replace('', 'yyyyyyyy') }}", "{{ range(100000)|batch(1)|list|batch(1)|list|string * 100 }}",
      nested(200, "(", "1", ")").braced, nested(200, "[", "1", "]").braced, nested(300, "not ", "1", "").braced,
      nested(5_000, "-", "1", "").braced, nested(20_000, "(", "1", ")").braced,
      ("1" + String(repeating: "+1", count: 20_000)).braced,
      ("x" + String(repeating: ".x", count: 20_000)).braced, ("x" + String(repeating: "|trim", count: 20_000)).braced,
      nested(20_000, "{", "1", "}").braced, nested(20_000, "{% if 1 %}", "", "{% endif %}"),
      nested(20_000, "{% for i in 1 %}", "", "{% endfor %}"), nested(20_000, "1 if 1 else ", "1", "").braced,
      "{% for " + nested(20_000, "(", "x", ")") + " in y %}{% endfor %}", nested(20_000, "x[", "1", "]").braced,
      nested(20_000, "f(", "1", ")").braced, nested(20_000, "x is in ", "y", "").braced,
    ])
  func stopped(_ source: String) throws {
    let start = ContinuousClock.now
    let error = #expect(throws: TemplateError.self) {
      try render(source, limits: TemplateLimits(steps: 100_000, textBytes: 16 << 20))
    }
    #expect(error?.kind == .limit || error?.kind == .syntax, "\(String(describing: error))")
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  @Test("the deepest nesting that is allowed renders on a thread with a small stack")
  func smallStack() throws {
    let parentheses = Self.nested(30, "(1 + ", "1", ")").braced
    let blocks = Self.nested(45, "{% for i in [1] %}", "{{ x.y.z or [[[[1]]]] }}", "{% endfor %}")
    let macro =
      "{% macro m(n) %}{% if n > 0 %}{% for i in [1] %}[{{ m(n - 1)|trim }}]{% endfor %}{% endif %}{% endmacro %}{{ m(200) }}"
    var deep = JSON.array([])
    for _ in 0..<120 { deep = .array([deep]) }
    let value = deep
    let results = Results()
    let thread = Thread {
      results.add(try? render(parentheses))
      results.add(try? render(blocks, ["x": ["y": ["z": 1]]]))
      results.add((try? render(macro)) ?? "stopped")
      results.add(try? render("{{ x }}{{ x == x }}{{ x|tojson }}", ["x": value]))
      results.finish()
    }
    // 512 KB is what macOS gives a thread of its own; unoptimised code needs more.
    #if DEBUG
      thread.stackSize = 1 << 20
    #else
      thread.stackSize = 512 << 10
    #endif
    thread.start()
    results.wait()
    #expect(results.all.count == 4 && results.all.allSatisfy { $0 != nil })
    #expect(results.all[0] == "31")
  }

  /// What a thread found.
  private final class Results: @unchecked Sendable {
    /// Written by one thread, read after `done` is signalled.
    private(set) var all: [String?] = []
    private let done = DispatchSemaphore(value: 0)

    func add(_ result: String?) { all.append(result) }
    func finish() { done.signal() }
    func wait() { done.wait() }
  }

  @Test("a long conversation stays within the default limits")
  func longConversation() throws {
    let template = try TemplateGoldens.template("qwen3-8b")
    let messages = (0..<400).map {
      Message(role: $0 % 2 == 0 ? "user" : "assistant", content: String(repeating: "word ", count: 1_000))
    }
    let text = try template.render(messages, tools: nil, addGenerationPrompt: false)
    #expect(text.utf8.count > 1_900_000)
  }

  @Test("errors name the template, the line and what is wrong")
  func places() throws {
    let undefined = #expect(throws: TemplateError.self) { try render("a\n\n{{ x.y.z }}", ["x": [:]]) }
    #expect(
      undefined == TemplateError(kind: .evaluation, problem: "'dict object' has no attribute 'y'", line: 3, template: "greedy"))
    let tag = #expect(throws: TemplateError.self) { try render("a\n{% nope %}") }
    #expect(tag?.line == 2 && tag?.kind == .syntax && tag?.problem.contains("nope") == true)
    let filter = #expect(throws: TemplateError.self) { try render("{{ 1 }}\n\n{{ 2|\nnope }}") }
    #expect(filter?.line == 4 && filter?.problem.contains("nope") == true)
    let open = #expect(throws: TemplateError.self) { try render("{% if 1 %}\n\n") }
    #expect(open?.problem.contains("endif") == true)
    let refused = #expect(throws: TemplateError.self) { try render("\n{{ raise_exception('no') }}") }
    #expect(refused == TemplateError(kind: .refused, problem: "no", line: 2, template: "greedy"))
    for tag in ["include 'x'", "import 'x' as y", "extends 'x'", "from 'x' import y", "block x"] {
      let error = #expect(throws: TemplateError.self) { try render("{% \(tag) %}") }
      #expect(error?.problem.contains("not supported") == true)
    }
  }

  @Test("a mutated template renders or throws, and neither crashes nor hangs", arguments: 0..<10)
  func mutations(_ part: Int) throws {
    var random = SeededGenerator(state: UInt64(1_000 + part))
    let messages = try TemplateGoldens.messages("tool call")
    var rendered = 0
    for _ in 0..<100 {
      let model = TemplateGoldens.models[Int(random.next() % UInt64(TemplateGoldens.models.count))]
      let source = Self.mutated(try TemplateGoldens.source(model), &random)
      do {
        let limits = TemplateLimits(steps: 20_000, textBytes: 1 << 20)
        let template = try TemplateGoldens.template(model, limits: limits, source: source)
        _ = try template.render(messages, tools: TemplateGoldens.tools, addGenerationPrompt: true)
        rendered += 1
      } catch is TemplateError {}
    }
    #expect((1..<100).contains(rendered), "mutations should break some templates and spare some")
  }

  /// A source with one to four bytes or stretches changed, removed or doubled.
  private static func mutated(_ source: String, _ random: inout SeededGenerator) -> String {
    var bytes = Array(source.utf8)
    for _ in 0...(random.next() % 4) where !bytes.isEmpty {
      let place = Int(random.next() % UInt64(bytes.count))
      let end = min(place + 1 + Int(random.next() % 40), bytes.count)
      switch random.next() % 4 {
      case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes.removeSubrange(place..<end)
      case 2: bytes.insert(contentsOf: bytes[place..<end], at: place)
      default: bytes[place] = Array("{}%#-+()[]|.,'\"~ \n".utf8)[Int(random.next() % 18)]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A small generator (SplitMix64), so that every run mutates alike.
  private struct SeededGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return mixed ^ (mixed >> 31)
    }
  }
}

extension String {
  /// The text between double braces.
  fileprivate var braced: String { "{{ " + self + " }}" }
}
