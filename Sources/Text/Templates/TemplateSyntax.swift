/// An expression of a template, with its place and how deep it nests.
final class TemplateExpression: Sendable {
  let form: Form
  let line: Int
  let depth: Int

  enum Form: Sendable {
    case constant(TemplateConstant)
    case name(String)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dict([(key: TemplateExpression, value: TemplateExpression)])
    case attribute(TemplateExpression, String)
    case item(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, TemplateSlice)
    case call(TemplateExpression, TemplateCallArguments)
    case filter(TemplateExpression, TemplateFilterCall)
    case test(TemplateExpression, TemplateFilterCall)
    case unary(TemplateUnaryOperator, TemplateExpression)
    case binary(TemplateBinaryOperator, TemplateExpression, TemplateExpression)
    case concatenation([TemplateExpression])
    case both(TemplateExpression, TemplateExpression)
    case either(TemplateExpression, TemplateExpression)
    case comparison(TemplateExpression, [(test: TemplateComparison, operand: TemplateExpression)])
    case conditional(test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
  }

  /// - Throws: where the expression would nest too deep to be evaluated safely.
  init(_ form: Form, line: Int) throws {
    self.form = form
    self.line = line
    depth = 1 + (form.children.map(\.depth).max() ?? 0)
    guard depth <= TemplateLimits.expressionDepth else {
      throw TemplateFailure("an expression nests deeper than \(TemplateLimits.expressionDepth) levels", kind: .limit)
    }
  }
}

/// A literal.
enum TemplateConstant: Sendable {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
}

/// The three parts of `[start:end:step]`.
struct TemplateSlice: Sendable {
  let start: TemplateExpression?
  let end: TemplateExpression?
  let step: TemplateExpression?
}

/// The arguments between the parentheses of a call.
struct TemplateCallArguments: Sendable {
  var positional: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []
  var unpacked: TemplateExpression?
  var unpackedNamed: TemplateExpression?

  var expressions: [TemplateExpression] {
    positional + named.map(\.value) + [unpacked, unpackedNamed].compactMap(\.self)
  }
}

/// A filter or test with its arguments, without the value it is applied to.
struct TemplateFilterCall: Sendable {
  let name: String
  let arguments: TemplateCallArguments
  let line: Int
}

enum TemplateUnaryOperator: String, Sendable {
  case not
  case minus = "-"
  case plus = "+"
}

enum TemplateBinaryOperator: String, Sendable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case floorDivide = "//"
  case modulo = "%"
  case power = "**"
}

enum TemplateComparison: String, Sendable {
  case equal = "=="
  case notEqual = "!="
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="
  case contained = "in"
  case notContained = "not in"
}

extension TemplateExpression.Form {
  /// The expressions directly inside.
  var children: [TemplateExpression] {
    switch self {
    case .constant, .name: []
    case .list(let items), .tuple(let items), .concatenation(let items): items
    case .dict(let pairs): pairs.flatMap { [$0.key, $0.value] }
    case .attribute(let owner, _): [owner]
    case .item(let owner, let key): [owner, key]
    case .slice(let owner, let slice): [owner] + [slice.start, slice.end, slice.step].compactMap(\.self)
    case .call(let callee, let arguments): [callee] + arguments.expressions
    case .filter(let value, let call), .test(let value, let call): [value] + call.arguments.expressions
    case .unary(_, let operand): [operand]
    case .binary(_, let left, let right), .both(let left, let right), .either(let left, let right): [left, right]
    case .comparison(let first, let rest): [first] + rest.map(\.operand)
    case .conditional(let test, let then, let otherwise): [test, then] + [otherwise].compactMap(\.self)
    }
  }
}

/// A statement of a template, or a stretch of text.
struct TemplateStatement: Sendable {
  let form: Form
  let line: Int

  indirect enum Form: Sendable {
    case text(String)
    case output([TemplateExpression])
    case branch([(test: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
    case loop(TemplateForLoop)
    case assign(TemplateTarget, TemplateExpression)
    case assignBlock(TemplateTarget, [TemplateFilterCall], [TemplateStatement])
    case macro(TemplateMacroDefinition)
    case callBlock(call: TemplateExpression, TemplateMacroDefinition)
    case filterBlock([TemplateFilterCall], [TemplateStatement])
    case scope([(target: TemplateTarget, value: TemplateExpression)], [TemplateStatement])
    case generation([TemplateStatement])
    case breakLoop
    case continueLoop
  }
}

struct TemplateForLoop: Sendable {
  let target: TemplateTarget
  let iterable: TemplateExpression
  let filter: TemplateExpression?
  let body: [TemplateStatement]
  let otherwise: [TemplateStatement]
}

/// What an assignment assigns to.
indirect enum TemplateTarget: Sendable {
  case name(String)
  case attribute(of: String, name: String)
  case tuple([TemplateTarget])
}

struct TemplateMacroDefinition: Sendable {
  let name: String
  let parameters: [(name: String, fallback: TemplateExpression?)]
  let body: [TemplateStatement]
  /// Those of `varargs`, `kwargs` and `caller` that the body mentions.
  let specials: Set<String>
}
