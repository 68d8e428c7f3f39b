import Foundation

/// The operators of Python on its numbers, strings and lists.
struct TemplateArithmetic {
  let budget: TemplateBudget

  func unary(_ sign: TemplateUnaryOperator, _ operand: TemplateValue) throws -> TemplateValue {
    switch (sign, operand) {
    case (.not, _): return .bool(!operand.isTrue)
    case (_, .undefined(let undefined)): throw undefined.failure
    case (_, .double(let value)): return .double(sign == .minus ? -value : value)
    default:
      guard let value = operand.index else {
        throw TemplateFailure("bad operand type for unary \(sign.rawValue): '\(operand.typeName)'")
      }
      return sign == .minus ? try whole(0.subtractingReportingOverflow(value)) : .int(value)
    }
  }

  func binary(_ sign: TemplateBinaryOperator, _ left: TemplateValue, _ right: TemplateValue) throws -> TemplateValue {
    if sign == .add, let joined = try joinedMarkup(left, right) { return joined }
    let (left, right) = (left.unmarked, right.unmarked)
    if sign == .modulo, case .string(let format) = left {
      return .string(try TemplateFormatting(budget: budget).percent(format, right))
    }
    if case .undefined(let undefined) = left { throw undefined.failure }
    if case .undefined(let undefined) = right { throw undefined.failure }
    if let one = left.index, let other = right.index { return try whole(sign, one, other) }
    if let one = left.number, let other = right.number { return try real(sign, one, other) }
    if sign == .add, let joined = try joined(left, right) { return joined }
    if sign == .multiply, let repeated = try repeated(left, right) ?? repeated(right, left) { return repeated }
    throw TemplateFailure(
      "unsupported operand type(s) for \(sign.rawValue): '\(left.typeName)' and '\(right.typeName)'")
  }

  // MARK: numbers

  private func whole(_ result: (partialValue: Int, overflow: Bool)) throws -> TemplateValue {
    guard !result.overflow else { throw TemplateFailure("a whole number does not fit in 64 bits") }
    return .int(result.partialValue)
  }

  private func whole(_ sign: TemplateBinaryOperator, _ left: Int, _ right: Int) throws -> TemplateValue {
    switch sign {
    case .add: return try whole(left.addingReportingOverflow(right))
    case .subtract: return try whole(left.subtractingReportingOverflow(right))
    case .multiply: return try whole(left.multipliedReportingOverflow(by: right))
    case .divide: return try real(.divide, Double(left), Double(right))
    case .power: return try power(left, right)
    case .floorDivide, .modulo:
      guard right != 0 else { throw TemplateFailure("integer division or modulo by zero") }
      let quotient = left.dividedReportingOverflow(by: right)
      guard !quotient.overflow else { return sign == .modulo ? .int(0) : try whole(quotient) }
      let remainder = left % right
      let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
      if sign == .modulo { return .int(isBelow ? remainder + right : remainder) }
      return .int(isBelow ? quotient.partialValue - 1 : quotient.partialValue)
    }
  }

  private func power(_ base: Int, _ exponent: Int) throws -> TemplateValue {
    guard exponent >= 0 else { return try real(.power, Double(base), Double(exponent)) }
    var result = 1
    var factor = base
    var left = exponent
    while left > 0 {
      if left & 1 == 1 {
        guard case .int(let product) = try whole(result.multipliedReportingOverflow(by: factor)) else { break }
        result = product
      }
      left >>= 1
      guard left > 0, case .int(let square) = try whole(factor.multipliedReportingOverflow(by: factor)) else { break }
      factor = square
    }
    return .int(result)
  }

  private func real(_ sign: TemplateBinaryOperator, _ left: Double, _ right: Double) throws -> TemplateValue {
    switch sign {
    case .add: return .double(left + right)
    case .subtract: return .double(left - right)
    case .multiply: return .double(left * right)
    case .power:
      guard left != 0 || right >= 0 else { throw TemplateFailure("0.0 cannot be raised to a negative power") }
      guard left >= 0 || right == right.rounded() else { throw TemplateFailure("the result would be a complex number") }
      return .double(pow(left, right))
    case .divide, .floorDivide, .modulo:
      guard right != 0 else { throw TemplateFailure("division by zero") }
      if sign == .divide { return .double(left / right) }
      var remainder = fmod(left, right)
      let quotient = (left - remainder) / right
      let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
      if isBelow { remainder += right }
      if sign == .modulo { return .double(remainder == 0 ? copysign(0, right) : remainder) }
      return .double((isBelow ? quotient - 1 : quotient).rounded())
    }
  }

  // MARK: strings and lists

  private func joined(_ left: TemplateValue, _ right: TemplateValue) throws -> TemplateValue? {
    switch (left, right) {
    case (.string(let one), .string(let other)):
      try budget.charge(appending: other.utf8.count, to: one.utf8.count)
      try budget.charge(bytes: one.utf8.count)
      return .string(one + other)
    case (.sequence(let one), .sequence(let other)) where one.kind == other.kind && (one.kind == .list || one.kind == .tuple):
      try budget.charge(elements: one.elements.count + other.elements.count)
      return .sequence(try TemplateSequence(one.kind, one.elements + other.elements))
    default: return nil
    }
  }

  /// A marked-up string and what is added to it, escaped.
  private func joinedMarkup(_ left: TemplateValue, _ right: TemplateValue) throws -> TemplateValue? {
    switch (left, right) {
    case (.markup(let one), .markup(let other)):
      try budget.charge(appending: other.utf8.count, to: one.utf8.count)
      return .markup(one + other)
    case (.markup, .string(let other)): return try joinedMarkup(left, .markup(try TextEscape.html(other, budget)))
    case (.string(let one), .markup): return try joinedMarkup(.markup(try TextEscape.html(one, budget)), right)
    default: return nil
    }
  }

  private func repeated(_ value: TemplateValue, _ count: TemplateValue) throws -> TemplateValue? {
    guard let count = count.index else { return nil }
    switch value {
    case .string(let text):
      try budget.charge(repeating: text.utf8.count, count: count)
      return .string(text.isEmpty ? "" : String(repeating: text, count: max(count, 0)))
    case .sequence(let sequence) where sequence.kind == .list || sequence.kind == .tuple:
      let (total, overflow) = sequence.elements.count.multipliedReportingOverflow(by: max(count, 0))
      try budget.charge(elements: overflow ? .max : total)
      let elements = sequence.elements.isEmpty ? [] : Array(repeatElement(sequence.elements, count: max(count, 0)).joined())
      return .sequence(try TemplateSequence(sequence.kind, elements))
    default: return nil
    }
  }
}
