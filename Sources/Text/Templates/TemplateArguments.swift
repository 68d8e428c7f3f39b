import OrderedCollections

/// The values a function, method, filter or macro is called with.
struct TemplateArguments {
  var positional: [TemplateValue] = []
  var named: OrderedDictionary<String, TemplateValue> = [:]

  /// The arguments in the order of `parameters`, nil where one is left out.
  ///
  /// - Parameters:
  ///   - function: the name that an error gives.
  ///   - required: how many parameters, from the first, may not be left out.
  ///   - positionalOnly: parameters have no names, as in most of Python's string methods.
  func bind(
    _ function: String, _ parameters: [String] = [], required: Int = 0, positionalOnly: Bool = false
  ) throws -> TemplateParameters {
    guard positional.count <= parameters.count else {
      throw TemplateFailure("\(function)() takes at most \(parameters.count) arguments, not \(positional.count)")
    }
    var values = positional.map(Optional.some) + Array(repeating: nil, count: parameters.count - positional.count)
    for (name, value) in named {
      guard !positionalOnly, let place = parameters.firstIndex(of: name) else {
        throw TemplateFailure("\(function)() takes no argument named '\(name)'")
      }
      if case .some = values[place] { throw TemplateFailure("\(function)() is given '\(name)' twice") }
      values[place] = value
    }
    if let missing = values.prefix(required).firstIndex(where: { !$0.isGiven }) {
      throw TemplateFailure("\(function)() lacks its argument '\(parameters[missing])'")
    }
    return TemplateParameters(function: function, names: parameters, values: values)
  }

}

/// Arguments matched to the parameters of a function.
struct TemplateParameters {
  let function: String
  let names: [String]
  let values: [TemplateValue?]

  subscript(place: Int) -> TemplateValue? { values[place] }

  private func wrong(_ place: Int, _ wanted: String, _ value: TemplateValue) -> TemplateFailure {
    if case .undefined(let undefined) = value { return undefined.failure }
    return TemplateFailure("\(function)() needs \(wanted) for '\(names[place])', not \(value.typeName)")
  }

  /// A whole number; nil where it is left out or `none`.
  func int(_ place: Int) throws -> Int? {
    switch values[place] {
    case nil, .some(.none): return nil
    case .some(let value):
      guard let number = value.index else { throw wrong(place, "an integer", value) }
      return number
    }
  }

  /// A string; nil where it is left out or `none`.
  func text(_ place: Int) throws -> String? {
    switch values[place] {
    case nil, .some(.none): return nil
    case .some(.string(let text)): return text
    case .some(let value): throw wrong(place, "a string", value)
    }
  }

  /// A truth value; false where it is left out.
  func flag(_ place: Int, default fallback: Bool = false) -> Bool { values[place]?.isTrue ?? fallback }
}
