import Testing
import Text

@testable import Datasets

@Suite struct FormatTests {
  let scratch: Scratch

  init() throws {
    scratch = try Scratch()
  }

  private func transcript(_ row: String) throws -> String { try scratch.load("rows.jsonl", row).samples[0].transcript }

  @Test(arguments: [
    (
      #"{"instruction":"Add.","input":"1 2","output":"3","system":"Be exact.","history":[["a","b"]]}"#,
      "system: Be exact.\nuser: a\nassistant: b\nuser: Add.\n1 2\nassistant: 3"
    ),
    (
      #"{"messages":[{"role":"user","content":[{"type":"text","text":"Ra"},{"type":"text","text":"in?"}],"name":"Ann"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"w","arguments":"{\"b\":1,\"a\":2}"}}]},{"role":"tool","content":"yes","tool_call_id":"1"},{"role":"assistant","content":"Yes."}],"tools":[{"name":"w"}]}"#,
      """
      tool offered: {"type":"function","function":{"name":"w"}}
      user: Rain?
        name: "Ann"
      assistant: (none)
        calls: {"id":"1","type":"function","function":{"name":"w","arguments":{"b":1,"a":2}}}
      tool: yes
        tool_call_id: "1"
      assistant: Yes.
      """
    ),
    (
      #"{"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{}}"},{"from":"observation","value":"r"},{"from":"gpt","value":"a"}],"system":"s"}"#,
      """
      system: s
      user: q
      assistant: (none)
        calls: {"type":"function","function":{"name":"f","arguments":{}}}
      tool: r
      assistant: a
      """
    ),
    (#"{"prompt":"The sky is","completion":" blue","text":null}"#, "prompt: The sky is\ncompletion:  blue"),
    (
      #"{"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}"#,
      "user: q\ncompletion:\nassistant: a"
    ),
    (#"{"text":"Once upon a time","source":"book"}"#, "text: Once upon a time"),
    (
      #"{"prompt":"Is it","chosen":" so?","rejected":" not?"}"#,
      "chosen:\nprompt: Is it\ncompletion:  so?\nrejected:\nprompt: Is it\ncompletion:  not?"
    ),
    (
      #"{"chosen":"The sky is blue.","rejected":"The sky is black."}"#,
      "chosen:\nprompt: The sky is\ncompletion:  blue.\nrejected:\nprompt: The sky is\ncompletion:  black."
    ),
    (
      #"{"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}"#,
      "chosen:\nuser: q\ncompletion:\nassistant: a\nrejected:\nuser: q\ncompletion:\nassistant: b"
    ),
    (
      #"{"conversations":[{"from":"human","value":"q"}],"chosen":{"from":"gpt","value":"a"},"rejected":{"from":"gpt","value":"b"}}"#,
      "chosen:\nuser: q\ncompletion:\nassistant: a\nrejected:\nuser: q\ncompletion:\nassistant: b"
    ),
    (
      #"{"instruction":"Add.","input":"1 2","chosen":"3","rejected":"4"}"#,
      "chosen:\nuser: Add.\n1 2\ncompletion:\nassistant: 3\nrejected:\nuser: Add.\n1 2\ncompletion:\nassistant: 4"
    ),
  ])
  func aRowBecomesTheseMessages(_ row: String, _ expected: String) throws {
    #expect(try transcript(row) == expected)
  }

  /// Alpaca and ShareGPT, against LLaMA-Factory's converters.
  @Test(arguments: ["alpaca", "sharegpt"]) func agreesWithLLaMAFactory(_ format: String) throws {
    let cases = try #require(golden("formats.json")[format]?.array)
    #expect(!cases.isEmpty)
    for expected in cases {
      let row = try #require(expected["row"])
      let data = try scratch.load("rows.jsonl", row.text())
      #expect(data.sources[0].format == format)
      var turns = try #require(expected["turns"]?.array).map { ($0["role"]?.string, $0["content"]?.string) }
      if let system = expected["system"]?.string, !system.isEmpty { turns.insert(("system", system), at: 0) }
      let messages = try #require(data.samples[0].messages)
      #expect(messages.count == turns.count)
      for (message, turn) in zip(messages, turns) {
        switch turn.0 {
        case "function":
          #expect(message.role == "assistant")
          #expect(message.toolCalls.first?["function"] == (try JSON(parsing: turn.1 ?? "")))
        case "observation":
          #expect(message.role == "tool" && message.content == turn.1)
        default:
          #expect(message.role == turn.0 && message.content == turn.1)
        }
      }
    }
  }

  @Test(arguments: [
    (#"{"instruction":"a","output":3}"#, "alpaca", "rows.jsonl:1: “output” is a number where text should stand"),
    (#"{"instruction":"a","answer":"b"}"#, "alpaca", "“output” is missing; the row has “instruction”, “answer”"),
    (#"{"instruction":"a","output":"b","history":[["x"]]}"#, "alpaca", "“history[0]” is not a pair of texts"),
    (#"{"messages":[]}"#, "messages", "“messages” is empty"),
    (#"{"messages":[{"content":"x"}]}"#, "messages", "“messages[0].role” is missing"),
    (#"{"messages":[{"role":"user"}]}"#, "messages", "“messages[0].content” is missing"),
    (
      #"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, "messages",
      "“messages[0].content[0].type” is “image_url”"
    ),
    (
      #"{"messages":[{"role":"assistant","tool_calls":[{"arguments":"{}"}]}]}"#, "messages",
      "“messages[0].tool_calls[0]” does not name a function"
    ),
    (#"{"messages":[{"role":"user","content":"x"}],"tools":"[1"}"#, "messages", "“tools” is not valid JSON"),
    (#"{"conversations":[{"from":"narrator","value":"x"}]}"#, "sharegpt", "“conversations[0].from” is “narrator”"),
    (#"{"conversations":[{"from":"gpt"}]}"#, "sharegpt", "“conversations[0].value” is missing"),
    (#"{"prompt":"a","completion":["b"]}"#, "prompt-completion", "“completion” is a list while “prompt” is text"),
    (
      #"{"messages":[{"role":"user","content":"<image>"}],"images":["a.png"]}"#, "messages", "“images” is not empty"
    ),
    (#"["text"]"#, "text", "is text where an object should stand"),
    (#"{"text":"a" "b"}"#, "text", "is not valid JSON at column 13"),
  ])
  func aBadRowNamesFileLineAndField(_ row: String, _ format: String, _ expected: String) throws {
    let said = scratch.relative(complaint { _ = try scratch.load("rows.jsonl", row, format: format) })
    #expect(said.contains(expected))
    #expect(said.contains("rows.jsonl:1"))
  }

  @Test func allBadRowsAreCountedAndTheFirstListed() throws {
    let rows = (1...100).map { $0.isMultiple(of: 4) ? "{\"txt\":\"\($0)\"}" : "{\"text\":\"\($0)\"}" }
    let path = try scratch.file("rows.jsonl", rows.joined(separator: "\n"))
    let error = try #require(throws: BadRows.self) { try Dataset.load([DataSource(path: path)]) }
    #expect(error.count == 25)
    #expect(error.listed.map(\.location.line) == stride(from: 4, through: 80, by: 4).map { $0 })
    #expect(error.description.contains("… and 5 more"))
    let report = try Dataset.validate([DataSource(path: path)])
    #expect(report.goodRows == 75 && report.badRows.listed.count == 25 && !report.isValid)
  }

  @Test func theFormatIsFoundFromMostOfTheFirstRows() throws {
    let path = try scratch.file(
      "rows.jsonl", "{\"odd\":1}\n" + String(repeating: "{\"instruction\":\"a\",\"output\":\"b\"}\n", count: 3))
    let data = try Dataset.load([DataSource(path: path, format: "auto")], badRows: .skip)
    #expect(data.sources[0].format == "alpaca" && data.samples.count == 3 && data.badRows.count == 1)
  }

  @Test func unknownFormatsListTheKnownOnes() throws {
    #expect(
      complaint { _ = try scratch.load("a.jsonl", "{\"question\":\"a\",\"answer\":\"b\"}") }.contains(
        "its rows have question, answer"))
    #expect(
      complaint { _ = try scratch.load("a.jsonl", "{\"text\":\"a\"}", format: "alpacca") }.contains("auto, messages, sharegpt"))
  }
}
