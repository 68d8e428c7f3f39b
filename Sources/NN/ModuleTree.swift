import Torch

extension Module {
  /// The slots this module declares, base class first, in order of declaration.
  public final var slots: [any ModuleSlot] {
    var found: [any ModuleSlot] = []
    var mirror: Mirror? = Mirror(reflecting: self)
    while let current = mirror {
      found.insert(contentsOf: current.children.compactMap { ($0.value as? any SlotHolder)?.anySlot }, at: 0)
      mirror = current.superclassMirror
    }
    return found
  }

  /// Walks the tree, parents before children: the one traversal everything else is made of.
  public final func visit<Failure: Error>(
    _ prefix: String = "", _ body: (_ path: String, _ slot: any ModuleSlot) throws(Failure) -> Void
  ) throws(Failure) {
    for slot in slots {
      if let parameter = slot.parameter {
        try body(prefix.appending(key: parameter.key), slot)
      } else {
        for (key, child) in slot.children {
          let path = prefix.appending(key: key)
          try body(path, slot)
          try child.visit(path, body)
        }
      }
    }
  }

  /// Every parameter there is, with its path.
  public final func parameters() -> [(path: String, slot: ParameterSlot, value: Tensor)] {
    var found: [(path: String, slot: ParameterSlot, value: Tensor)] = []
    visit { path, slot in
      if let parameter = slot.parameter, let value = parameter.value { found.append((path, parameter, value)) }
    }
    return found
  }

  /// The parameters that take gradients.
  public final func trainableParameters() -> [(path: String, value: Tensor)] {
    parameters().filter(\.value.requiresGradient).map { ($0.path, $0.value) }
  }

  /// Every projection there is, with its path and place.
  public final func projections() -> [(path: String, slot: ProjectionSlot)] {
    var found: [(path: String, slot: ProjectionSlot)] = []
    visit { path, slot in
      if let projection = slot as? ProjectionSlot, !(projection.value is AbsentHead) { found.append((path, projection)) }
    }
    return found
  }

  /// Every table of vectors there is, with its path.
  public final func embeddings() -> [(path: String, embedding: Embedding)] {
    var found: [(path: String, embedding: Embedding)] = []
    visit { path, slot in
      if let slot = slot as? ChildSlot<Embedding> { found.append((path, slot.value)) }
    }
    return found
  }

  /// The paths of all norms.
  public final func norms() -> [String] {
    var found: [String] = []
    visit { path, slot in
      if slot is ChildSlot<RMSNorm> || slot is ChildSlot<LayerNorm> { found.append(path) }
    }
    return found
  }

  /// Every place behind a part of a layer, with its path: `model.layers.0.output_adapters`.
  public final func sublayerPlaces() -> [(path: String, place: SublayerAdapters)] {
    var found: [(path: String, place: SublayerAdapters)] = []
    visit { path, slot in
      if let slot = slot as? ChildSlot<SublayerAdapters> { found.append((path, slot.value)) }
    }
    return found
  }

  /// The place before the first layer, with its path: `model.invertible_adapters`; nil where a model has none.
  public final func inputPlace() -> (path: String, place: InputAdapters)? {
    var found: (path: String, place: InputAdapters)?
    visit { path, slot in
      if let slot = slot as? ChildSlot<InputAdapters> { found = (path, slot.value) }
    }
    return found
  }

  /// Stops gradients for every parameter here and below.
  public final func freeze() throws(TorchError) {
    for parameter in parameters() { try parameter.value.setRequiresGradient(false) }
  }

  /// Numbers in all parameters, packed ones too, and in those that take gradients; one that stands in two places counts once.
  public final func parameterCount() -> (total: Int, trainable: Int) {
    var total = 0
    var trainable = 0
    var tables: [Int: [Tensor]] = [:]
    for (_, _, value) in parameters() {
      let count = value.count
      if tables[count, default: []].contains(where: { $0.isSameMemory(as: value) }) { continue }
      tables[count, default: []].append(value)
      total += count
      if value.requiresGradient { trainable += count }
    }
    for (_, slot) in projections() {
      if let quantized = slot.value as? QuantizedLinear { total += quantized.packed.shape.reduce(1, *) }
    }
    return (total, trainable)
  }
}

/// The property wrappers, as reflection finds them.
private protocol SlotHolder {
  var anySlot: any ModuleSlot { get }
}

extension Param: SlotHolder { fileprivate var anySlot: any ModuleSlot { projectedValue } }
extension Child: SlotHolder { fileprivate var anySlot: any ModuleSlot { projectedValue } }
extension OptionalChild: SlotHolder { fileprivate var anySlot: any ModuleSlot { projectedValue } }
extension Children: SlotHolder { fileprivate var anySlot: any ModuleSlot { projectedValue } }
extension NamedChildren: SlotHolder { fileprivate var anySlot: any ModuleSlot { projectedValue } }
extension Projected: SlotHolder { fileprivate var anySlot: any ModuleSlot { projectedValue } }

extension String {
  /// The path of `key` below this one.
  public func appending(key: String) -> String { isEmpty ? key : self + "." + key }
}
