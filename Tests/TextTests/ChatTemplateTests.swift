import Foundation
import OrderedCollections
import Testing

@testable import Text

@Suite("Chat templates as a model's files hold them")
struct ChatTemplateTests {
  private func template(
    _ source: String, special: SpecialTokens = SpecialTokens(), variables: [String: JSON] = [:]
  ) throws -> ChatTemplate {
    try ChatTemplate(source: source, name: "test", specialTokens: special, variables: variables, clock: TemplateGoldens.clock)
  }

  private func render(_ template: ChatTemplate, extra: [String: JSON] = [:], documents: [JSON]? = nil) throws -> String {
    let messages = [Message(role: "user", content: "Hi")]
    return try template.render(messages, tools: nil, documents: documents, addGenerationPrompt: true, extra: extra)
  }

  @Test("special tokens that a model does not have are undefined")
  func specialTokens() throws {
    let source = "{{ bos_token }}|{{ eos_token is defined }}|{{ pad_token is defined }}|{{ unk_token }}"
    #expect(try render(try template(source, special: SpecialTokens(bos: "<s>", eos: "</s>"))) == "<s>|True|False|")
  }

  @Test("variables win over special tokens, those of one rendering over all, and none over the conversation")
  func variables() throws {
    let made = try template(
      "{{ bos_token }}{{ a }}{{ b }}{{ messages[0].content }}{{ add_generation_prompt }}", special: SpecialTokens(bos: "<s>"),
      variables: ["bos_token": "x", "a": 1, "b": 1, "messages": "no"])
    #expect(try render(made, extra: ["b": 2, "add_generation_prompt": false]) == "x12HiTrue")
  }

  @Test("tools and documents are none where there are none, documents are shown where there are some")
  func documents() throws {
    let made = try template("{{ tools }} {{ documents }}")
    #expect(try render(made) == "None None")
    #expect(try render(made, documents: [["title": "A", "n": 1.0]]) == "None [{'title': 'A', 'n': 1.0}]")
  }

  @Test("a message without text has no content, and reasoning goes by all of its names")
  func visibleMessage() throws {
    let made = try template("{% for m in messages %}{{ m|tojson }}\n{% endfor %}")
    let messages = [
      Message(role: "assistant", content: nil, toolCalls: [["name": "f"]]),
      Message(role: "assistant", content: "x", extra: ["reasoning": "why"]),
    ]
    let expected = """
      {"role": "assistant", "tool_calls": [{"name": "f"}]}
      {"thinking": "why", "role": "assistant", "content": "x", "reasoning": "why", "reasoning_content": "why"}

      """
    #expect(try made.render(messages, tools: nil, addGenerationPrompt: false) == expected)
  }

  @Test("strings are compared by code points, not by what they look like")
  func codePoints() throws {
    #expect(
      try render(try template("{{ 'é' == 'e\\u0301' }}{{ {'é': 1}['e\\u0301'] is defined }}{{ '\\r\\n'|length }}"))
        == "FalseFalse2")
  }

  @Test("of several templates, tools ask for tool_use, a name for itself, anything else for the default")
  func choice() throws {
    let list: JSON = [
      ["name": "default", "template": "D"], ["name": "tool_use", "template": "T"], ["name": "rag", "template": "R"],
    ]
    let set = try #require(try ChatTemplateSet(chatTemplate: list))
    #expect(try set.choose().source == "D")
    #expect(try set.choose(hasTools: true).source == "T")
    #expect(try set.choose("rag", hasTools: true).source == "R")
    let error = #expect(throws: TemplateError.self) { try set.choose("poem") }
    #expect(error?.problem.contains("default, tool_use, rag") == true)
    let single = try #require(try ChatTemplateSet(chatTemplate: "S"))
    #expect(try single.choose(hasTools: true).source == "S")
    #expect(try ChatTemplateSet(chatTemplate: nil) == nil && ChatTemplateSet(chatTemplate: .null) == nil)
    #expect(throws: TemplateError.self) { try ChatTemplateSet(chatTemplate: 5) }
    #expect(throws: TemplateError.self) { try ChatTemplateSet(chatTemplate: [["name": "x"]]) }
    let withoutDefault = try #require(try ChatTemplateSet(chatTemplate: [["name": "rag", "template": "R"]]))
    #expect(throws: TemplateError.self) { try withoutDefault.choose() }
  }

  @Test("chat_template.jinja wins over tokenizer_config.json")
  func files() throws {
    let configuration = Array(#"{"bos_token": "<s>", "chat_template": "C"}"#.utf8)
    #expect(try ChatTemplateSet(tokenizerConfiguration: configuration, templateFile: nil)?.choose().source == "C")
    #expect(try ChatTemplateSet(tokenizerConfiguration: configuration, templateFile: Array("F".utf8))?.choose().source == "F")
    #expect(try ChatTemplateSet(tokenizerConfiguration: Array("{}".utf8), templateFile: nil) == nil)
    #expect(try ChatTemplateSet(tokenizerConfiguration: nil, templateFile: nil) == nil)
    #expect(throws: TemplateError.self) { try ChatTemplateSet(tokenizerConfiguration: nil, templateFile: [0xFF]) }
    #expect(throws: JSONError.self) { try ChatTemplateSet(tokenizerConfiguration: Array("{".utf8), templateFile: nil) }
  }

  @Test("the clock shows the time of its zone")
  func clock() throws {
    let date = Date(timeIntervalSince1970: 1_741_529_107)
    let zone = try #require(TimeZone(secondsFromGMT: -15 * 3_600))
    #expect(try TemplateClock.fixed(date, timeZone: zone).text("%Y-%m-%d %H:%M") == "2025-03-08 23:05")
    #expect(throws: TemplateFailure.self) { try TemplateClock.fixed(date).text("%Q") }
  }

  @Test("templates and their results may cross threads")
  func concurrency() async throws {
    let made = try TemplateGoldens.template("qwen2.5-7b-instruct")
    let messages = try TemplateGoldens.messages("multi")
    let expected = try made.render(messages, tools: nil, addGenerationPrompt: true)
    try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<8 { group.addTask { try made.render(messages, tools: nil, addGenerationPrompt: true) } }
      for try await text in group { #expect(text == expected) }
    }
  }
}
