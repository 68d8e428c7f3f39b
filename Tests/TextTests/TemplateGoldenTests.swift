import Foundation
import Testing

@testable import Text

@Suite("Chat templates against transformers")
struct TemplateGoldenTests {
  @Test("the goldens are there")
  func present() {
    #expect(TemplateGoldens.models.count >= 33)
    #expect(TemplateGoldens.tools.count == 2)
  }

  @Test("a published template renders every conversation as transformers does", arguments: TemplateGoldens.models)
  func model(_ name: String) throws {
    let template = try TemplateGoldens.template(name)
    for given in try TemplateGoldens.cases(name) {
      let expected = try given.text.map { .text(ExactString($0)) } ?? TemplateGoldens.Outcome(given.expected)
      let found = TemplateGoldens.Outcome(like: expected) {
        try template.render(
          given.messages, tools: given.tools, documents: nil, addGenerationPrompt: given.prompt, extra: given.variables)
      }
      #expect(found == expected, "\(given.conversation), tools \(given.tools != nil), prompt \(given.prompt), \(given.variables)")
    }
  }

  @Test(
    "generation blocks give the spans that transformers finds", arguments: TemplateGoldens.models.filter { $0.hasPrefix("trl-") })
  func generationSpans(_ name: String) throws {
    let template = try TemplateGoldens.template(name)
    #expect(template.marksAssistant)
    var compared = 0
    for given in try TemplateGoldens.cases(name) {
      guard let spans = given.spans else { continue }
      #expect(try template.renderMarkingAssistant(given.messages, tools: given.tools)?.spans == spans, "\(given.conversation)")
      compared += 1
    }
    #expect(compared > 8)
  }

  @Test("each construct gives what Jinja gives")
  func snippets() throws {
    let golden = try TemplateGoldens.json("snippets.json")
    let snippets = try #require(golden["snippets"]?.array)
    let shared = try #require(golden["variables"]?.object)
    #expect(snippets.count >= 300)
    for snippet in snippets {
      let source = try #require(snippet["template"]?.string)
      let expected = try TemplateGoldens.Outcome(snippet)
      let found = TemplateGoldens.Outcome(like: expected) {
        let body = try TemplateParser.parse(source, template: "snippet").body
        return try TemplateInterpreter.render(
          body, variables: shared, limits: TemplateLimits(), clock: TemplateGoldens.clock, template: "snippet"
        ).text
      }
      #expect(found == expected, "\(source.debugDescription)")
    }
  }
}
