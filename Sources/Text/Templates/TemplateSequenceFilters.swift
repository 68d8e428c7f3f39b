import OrderedCollections

/// The filters that take or give sequences.
enum TemplateSequenceFilters {
  static let all: [String: TemplateFilters.Filter] = taking.merging(ordering) { $1 }.merging(grouping) { $1 }

  /// The number of elements, as Python's `len`.
  private static let length: TemplateFilters.Filter = { _, value, arguments in
    _ = try arguments.bind("length")
    switch value {
    case .undefined: return .int(0)
    case .string(let text): return .int(text.unicodeScalars.count)
    case .sequence(let sequence): return .int(sequence.elements.count)
    case .dict(let dict): return .int(dict.members.count)
    case .loop(let loop): return .int(try loop.count())
    default: throw TemplateFailure("object of type '\(value.typeName)' has no len()")
    }
  }

  private static let taking: [String: TemplateFilters.Filter] = [
    "length": length,
    "count": length,
    "first": { interpreter, value, arguments in
      _ = try arguments.bind("first")
      let (_, next) = try interpreter.elements(of: value)
      return try next() ?? .undefined(.because("No first item, sequence was empty."))
    },
    "last": { interpreter, value, arguments in
      _ = try arguments.bind("last")
      if case .iterator = value { throw TemplateFailure("'\(value.typeName)' object is not reversible") }
      if case .undefined(let undefined) = value { throw undefined.failure }
      return try interpreter.list(of: value).last ?? .undefined(.because("No last item, sequence was empty."))
    },
    "list": { interpreter, value, arguments in
      _ = try arguments.bind("list")
      return try interpreter.makeList(try interpreter.list(of: value))
    },
    "join": { interpreter, value, arguments in
      let given = try arguments.bind("join", ["d", "attribute"])
      let separator = try given[0].map { try interpreter.text(of: $0) } ?? ""
      let path = try TemplatePath(given[1])
      let pieces = try interpreter.list(of: value).map { try interpreter.text(of: try path.value(in: $0, interpreter)) }
      return .string(try TemplateStringMethods.joined(pieces, separator, interpreter.budget))
    },
    "items": { interpreter, value, arguments in
      _ = try arguments.bind("items")
      switch value {
      case .undefined: return .iterator(try TemplateIterator([]))
      case .dict(let dict):
        let pairs = try dict.members.values.map { try interpreter.makeTuple([$0.key, $0.value]) }
        return .iterator(try TemplateIterator(pairs))
      default: throw TemplateFailure("Can only get item pairs from a mapping.")
      }
    },
    "sum": { interpreter, value, arguments in
      let given = try arguments.bind("sum", ["attribute", "start"])
      let path = try TemplatePath(given[0])
      return try interpreter.list(of: value).reduce(given[1] ?? .int(0)) { total, element in
        try interpreter.arithmetic.binary(.add, total, try path.value(in: element, interpreter))
      }
    },
    "min": { try extreme("min", $0, $1, $2) { $0 } },
    "max": { try extreme("max", $0, $1, $2) { !$0 } },
  ]

  private static func extreme(
    _ name: String, _ interpreter: TemplateInterpreter, _ value: TemplateValue, _ arguments: TemplateArguments,
    _ prefers: (_ isLess: Bool) -> Bool
  ) throws -> TemplateValue {
    let given = try arguments.bind(name, ["case_sensitive", "attribute"])
    let path = try TemplatePath(given[1], ignoresCase: !given.flag(0))
    let elements = try interpreter.list(of: value)
    guard var best = elements.first else { return .undefined(.because("No aggregated item, sequence was empty.")) }
    var bestKey = try path.value(in: best, interpreter)
    for element in elements.dropFirst() {
      let key = try path.value(in: element, interpreter)
      let isBetter =
        prefers(true) ? try interpreter.comparer.less(key, bestKey) : try interpreter.comparer.less(bestKey, key)
      if isBetter { (best, bestKey) = (element, key) }
    }
    return best
  }

  // MARK: order

  private static let ordering: [String: TemplateFilters.Filter] = [
    "reverse": { interpreter, value, arguments in
      _ = try arguments.bind("reverse")
      if case .string(let text) = value {
        try interpreter.budget.charge(bytes: text.utf8.count)
        return .string(String(String.UnicodeScalarView(text.unicodeScalars.reversed())))
      }
      return .iterator(try TemplateIterator(try interpreter.list(of: value).reversed(), typeName: "list_reverseiterator"))
    },
    "sort": { interpreter, value, arguments in
      let given = try arguments.bind("sort", ["reverse", "case_sensitive", "attribute"])
      let paths = try TemplatePath.several(given[2], ignoresCase: !given.flag(1))
      let elements = try interpreter.list(of: value)
      let sorted = try interpreter.comparer.sorted(elements, reversed: given.flag(0)) { element in
        try .list(try paths.map { try $0.value(in: element, interpreter) })
      }
      return try interpreter.makeList(sorted)
    },
    "dictsort": { interpreter, value, arguments in
      let given = try arguments.bind("dictsort", ["case_sensitive", "by", "reverse"])
      guard case .dict(let dict) = value else { throw TemplateFailure("dictsort() needs a mapping, not \(value.typeName)") }
      let by = try given.text(1) ?? "key"
      guard by == "key" || by == "value" else { throw TemplateFailure("You can only sort by either \"key\" or \"value\"") }
      let path = try TemplatePath(.int(by == "key" ? 0 : 1), ignoresCase: !given.flag(0))
      let pairs = try dict.members.values.map { try interpreter.makeTuple([$0.key, $0.value]) }
      let sorted = try interpreter.comparer.sorted(pairs, reversed: given.flag(2)) { try path.value(in: $0, interpreter) }
      return try interpreter.makeList(sorted)
    },
    "unique": { interpreter, value, arguments in
      let given = try arguments.bind("unique", ["case_sensitive", "attribute"])
      let path = try TemplatePath(given[1], ignoresCase: !given.flag(0))
      var seen: Set<TemplateKey> = []
      let unique = try interpreter.list(of: value).filter {
        seen.insert(try interpreter.comparer.key(try path.value(in: $0, interpreter))).inserted
      }
      return .iterator(try TemplateIterator(unique))
    },
  ]

  // MARK: groups

  private static let grouping: [String: TemplateFilters.Filter] = [
    "batch": { interpreter, value, arguments in
      let given = try arguments.bind("batch", ["linecount", "fill_with"], required: 1)
      let width = try given.int(0) ?? 0
      guard width > 0 else { throw TemplateFailure("batch() needs a line count of 1 or more") }
      let elements = try interpreter.list(of: value)
      var batches: [TemplateValue] = []
      for start in stride(from: 0, to: elements.count, by: width) {
        var batch = Array(elements[start...].prefix(width))
        if let fill = filling(given[1]), batch.count < width {
          try interpreter.budget.charge(elements: width)
          batch += Array(repeating: fill, count: width - batch.count)
        }
        batches.append(try interpreter.makeList(batch))
      }
      return .iterator(try TemplateIterator(batches))
    },
    "slice": { interpreter, value, arguments in
      let given = try arguments.bind("slice", ["slices", "fill_with"], required: 1)
      let count = try given.int(0) ?? 0
      guard count > 0 else { throw TemplateFailure("slice() needs a number of slices of 1 or more") }
      try interpreter.budget.charge(elements: count)
      let elements = try interpreter.list(of: value)
      let (width, longer) = elements.count.quotientAndRemainder(dividingBy: count)
      var start = 0
      let slices = try (0..<count).map { place in
        let end = start + width + (place < longer ? 1 : 0)
        defer { start = end }
        let fill = place >= longer ? filling(given[1]).map { [$0] } ?? [] : []
        return try interpreter.makeList(Array(elements[start..<end]) + fill)
      }
      return .iterator(try TemplateIterator(slices))
    },
    "groupby": { interpreter, value, arguments in
      let given = try arguments.bind("groupby", ["attribute", "default", "case_sensitive"], required: 1)
      let path = try TemplatePath(given[0], ignoresCase: !given.flag(2), fallback: given[1])
      let plain = try TemplatePath(given[0], fallback: given[1])
      let sorted = try interpreter.comparer.sorted(try interpreter.list(of: value), reversed: false) {
        try path.value(in: $0, interpreter)
      }
      var groups: [(key: TemplateValue, elements: [TemplateValue])] = []
      for element in sorted {
        let key = try path.value(in: element, interpreter)
        if let last = groups.last, try interpreter.comparer.equal(last.key, key) {
          groups[groups.count - 1].elements.append(element)
        } else {
          groups.append((key, [element]))
        }
      }
      return try interpreter.makeList(
        try groups.map { group in
          let key = try plain.value(in: group.elements[0], interpreter)
          return try interpreter.makeTuple([key, try interpreter.makeList(group.elements)])
        })
    },
  ]

  private static func filling(_ value: TemplateValue?) -> TemplateValue? {
    if case .some(.none) = value { return nil }
    return value
  }
}
