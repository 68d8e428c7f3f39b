import Foundation
import OrderedCollections

@testable import Text

/// The renderings by transformers that `Scripts/goldens/templates.py` wrote.
enum TemplateGoldens {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Goldens/templates")

  /// 2025-03-09 14:05:07, as in the script.
  static let clock = TemplateClock.fixed(Date(timeIntervalSince1970: 1_741_529_107))

  /// What a template gave.
  enum Outcome: Equatable, CustomStringConvertible {
    case text(ExactString)
    case refused(String)
    case undefined(String)
    case failed

    init(_ json: JSON, texts: [String] = []) throws {
      if let text = json["text"]?.string {
        let start = try json["start"].map { try Self.start($0, texts) } ?? ""
        self = .text(ExactString(start + text))
      } else if let message = json["refused"]?.string {
        self = .refused(message)
      } else if let message = json["undefined"]?.string {
        self = .undefined(message)
      } else {
        self = .failed
      }
    }

    private static func start(_ json: JSON, _ texts: [String]) throws -> String {
      guard let place = json[0]?.int, let count = json[1]?.int, texts.indices.contains(place) else { throw Malformed() }
      return String(texts[place].unicodeScalars.prefix(count))
    }

    /// What rendering gives; `expected` decides whether an error's text matters.
    init(like expected: Outcome, _ render: () throws -> String) {
      do {
        self = .text(ExactString(try render()))
      } catch let error as TemplateError where error.kind == .refused {
        self = .refused(error.problem)
      } catch let error as TemplateError {
        if case .undefined = expected { self = .undefined(error.problem) } else { self = .failed }
      } catch {
        self = .refused("an error of another type: \(error)")
      }
    }

    var description: String {
      switch self {
      case .text(let text): text.text.debugDescription
      case .refused(let message): "refused: \(message)"
      case .undefined(let message): "undefined: \(message)"
      case .failed: "failed"
      }
    }
  }

  struct Malformed: Error {}

  struct Case: Sendable {
    let conversation: String
    let messages: [Message]
    let tools: [JSON]?
    let variables: [String: JSON]
    let prompt: Bool
    let expected: JSON
    let text: String?
    let spans: [Range<Int>]?
  }

  static func json(_ name: String) throws -> JSON { try JSON(parsing: try Data(contentsOf: folder.appendingPathComponent(name))) }

  static let models: [String] = {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("models").path)) ?? []
    return files.filter { $0.hasSuffix(".jinja") }.map { String($0.dropLast(6)) }.sorted()
  }()

  static func source(_ model: String) throws -> String {
    String(decoding: try Data(contentsOf: folder.appendingPathComponent("models/\(model).jinja")), as: UTF8.self)
  }

  static func template(_ model: String, limits: TemplateLimits = TemplateLimits(), source: String? = nil) throws -> ChatTemplate {
    let special = try json("models/\(model).json")["special"]
    let tokens = SpecialTokens(
      bos: special?["bos_token"]?.string, eos: special?["eos_token"]?.string, pad: special?["pad_token"]?.string,
      unk: special?["unk_token"]?.string)
    return try ChatTemplate(
      source: try source ?? self.source(model), name: model, specialTokens: tokens, limits: limits, clock: clock)
  }

  static let tools: [JSON] = (try? json("conversations.json")["tools"]?.array) ?? []

  static func messages(_ conversation: String) throws -> [Message] {
    guard let turns = try json("conversations.json")["conversations"]?[conversation]?.array else { throw Malformed() }
    return try turns.map(message)
  }

  static func message(_ json: JSON) throws -> Message {
    guard let members = json.object, let role = json["role"]?.string else { throw Malformed() }
    let extra = members.filter { !["role", "content", "tool_calls"].contains($0.key) }
    return Message(role: role, content: json["content"]?.string, toolCalls: json["tool_calls"]?.array ?? [], extra: extra)
  }

  static func cases(_ model: String) throws -> [Case] {
    guard let cases = try json("models/\(model).json")["cases"]?.array else { throw Malformed() }
    let conversations = try json("conversations.json")["conversations"]
    var texts: [String] = []
    return try cases.map { json in
      guard let name = json["conversation"]?.string, let turns = conversations?[name]?.array else { throw Malformed() }
      var text: String?
      if case .text(let whole) = try Outcome(json, texts: texts) {
        texts.append(whole.text)
        text = whole.text
      }
      return Case(
        conversation: name, messages: try turns.map(message), tools: json["tools"] == nil ? nil : tools,
        variables: Dictionary(uniqueKeysWithValues: (json["variables"]?.object ?? [:]).map { ($0.key, $0.value) }),
        prompt: json["prompt"]?.bool ?? false, expected: json, text: text,
        spans: json["spans"]?.array?.map { ($0[0]?.int ?? 0)..<($0[1]?.int ?? 0) })
    }
  }
}
