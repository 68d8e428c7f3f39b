import OrderedCollections
import Rewards
import Testing
import Text

@Suite struct JSONSchemaTests {
  @Test func completionsAreWorthWhatFits() throws {
    let schema: JSON = [
      "type": "object", "required": ["name", "age"], "additionalProperties": false,
      "properties": ["name": ["type": "string", "minLength": 1], "age": ["type": "integer", "minimum": 0]],
    ]
    let reward = try Rewards.make("json_schema", ["schema": schema, "partial": 0.25]).open()
    let texts = [
      #" {"name": "Ann", "age": 3}"# + "\n", #"{"name": "Ann"}"#, #"{"name": "", "age": 3}"#,
      #"{"name": "Ann", "age": 3, "x": 1}"#,
      #"Here: {"name": "Ann", "age": 3}"#, "{", "", "7",
    ]
    let scores = reward.score(texts.map { Completion(prompt: "", text: $0) })
    #expect(scores.values == [1, 0.25, 0.25, 0.25, 0, 0, 0, 0.25])
  }

  @Test(
    arguments: [
      ([:], "[1]", true), (true, "null", true), (false, "null", false),
      (["type": "integer"], "1.0", true), (["type": "integer"], "1.5", false), (["type": ["null", "string"]], "null", true),
      (["type": "number"], "1", true), (["type": "boolean"], "0", false),
      (["enum": ["a", 1]], "1.0", true), (["enum": ["a", 1]], #""b""#, false),
      (["const": ["a": 1, "b": 2]], #"{"b":2,"a":1}"#, true),
      (["minimum": 2, "maximum": 3], "3", true), (["exclusiveMaximum": 3], "3", false), (["multipleOf": 0.5], "1.5", true),
      (["multipleOf": 2], "3", false), (["minimum": 2], #""a""#, true),
      (["maxLength": 2], #""äöü""#, false), (["minLength": 3], #""äöü""#, true), (["pattern": "^a"], #""ab""#, true),
      (["pattern": "^b"], #""ab""#, false),
      (["items": ["type": "string"]], #"["a", 1]"#, false),
      (["prefixItems": [["type": "string"]], "items": false], #"["a"]"#, true),
      (["prefixItems": [["type": "string"]], "items": false], #"["a", 1]"#, false), (["minItems": 1], "[]", false),
      (["uniqueItems": true], "[1, 1.0]", false), (["uniqueItems": true], "[1, 2]", true),
      (["minProperties": 1], "{}", false), (["additionalProperties": ["type": "string"]], #"{"a": 1}"#, false),
      (["required": ["a"]], "[]", true),
      (["anyOf": [["type": "string"], ["type": "null"]]], "1", false), (["oneOf": [["minimum": 1], ["minimum": 2]]], "2", false),
      (["oneOf": [["minimum": 1], ["minimum": 2]]], "1", true), (["allOf": [["minimum": 1], ["maximum": 2]]], "3", false),
      (["not": ["type": "null"]], "null", false), (["title": "x", "format": "date"], "1", true),
    ] as [(JSON, String, Bool)])
  func keywords(schema: JSON, text: String, fits: Bool) throws {
    let schema = try JSONSchema(schema)
    #expect((schema.mismatch(try JSON(parsing: text)) == nil) == fits)
  }

  @Test(
    arguments: [
      (["$ref": "#/x"], "$ref"), (["properties": ["a": ["types": "string"]]], "$.properties.a: the keyword “types”"),
      (["minItems": -1], "$.minItems"), (["required": "a"], "$.required"), ([1], "$ must be an object"),
      (["pattern": "["], "no regular expression"), (["anyOf": []], "$.anyOf"), (["multipleOf": 0], "above 0"),
    ] as [(JSON, String)])
  func whatIsNotCheckedIsRefused(schema: JSON, says: String) {
    let error = #expect(throws: JSONSchema.Problem.self) { try JSONSchema(schema) }
    #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
  }

  @Test func aSchemaNestedWithoutEndIsRefused() {
    var schema: JSON = [:]
    for _ in 0..<200 { schema = ["not": schema] }
    #expect(throws: JSONSchema.Problem.self) { try JSONSchema(schema) }
  }
}
