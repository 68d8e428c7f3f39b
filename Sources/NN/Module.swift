import Torch

/// A part of a network: parameters and other modules under the names its checkpoint gives them.
///
/// A subclass declares them with ``Param``, ``Child``, ``Children`` and ``Projected``; the path of a parameter, such as
/// `model.layers.0.self_attn.q_proj.weight`, is then its checkpoint key.
open class Module {
  /// Whether dropout is active. Set through ``train(_:)``.
  public private(set) final var isTraining = false

  /// A module without parts.
  public init() {}

  /// Switches dropout on or off here and in every module below.
  public final func train(_ on: Bool = true) {
    isTraining = on
    for slot in slots { slot.children.forEach { $0.module.train(on) } }
  }
}

/// What a property wrapper of this file holds: a parameter, or modules, with their part of the path.
public protocol ModuleSlot: AnyObject {
  /// The parameter this slot holds, if it is one.
  var parameter: ParameterSlot? { get }
  /// The modules it holds, each with its part of the path.
  var children: [(key: String, module: Module)] { get }
}

/// Holds one parameter, or the place of an optional one.
public final class ParameterSlot: ModuleSlot {
  /// The last part of its path.
  public let key: String
  /// The numbers; nil for an optional parameter that a model lacks.
  public var value: Tensor?

  init(key: String) { self.key = key }

  /// Itself.
  public var parameter: ParameterSlot? { self }
  /// None.
  public var children: [(key: String, module: Module)] { [] }
}

/// Holds one module, or the place of an optional one.
public final class ChildSlot<Value>: ModuleSlot {
  /// The last part of its path.
  public let key: String
  var held: Value?
  private let asModule: (Value) -> Module

  init(key: String, asModule: @escaping (Value) -> Module) {
    self.key = key
    self.asModule = asModule
  }

  /// The module; traps where a model uses one that its initialiser never made.
  public var value: Value {
    get {
      guard let held else { preconditionFailure("the module “\(key)” was never made") }
      return held
    }
    set { held = newValue }
  }

  /// None.
  public var parameter: ParameterSlot? { nil }
  /// The module.
  public var children: [(key: String, module: Module)] { held.map { [(key, asModule($0))] } ?? [] }
}

/// Holds a numbered list of modules: `layers.0`, `layers.1` …
public final class ChildrenSlot<Value: Module>: ModuleSlot {
  /// The part of the path before the number.
  public let key: String
  /// The modules in order.
  public var value: [Value] = []

  init(key: String) { self.key = key }

  /// None.
  public var parameter: ParameterSlot? { nil }
  /// The modules.
  public var children: [(key: String, module: Module)] {
    value.enumerated().map { ("\(key).\($0.offset)", $0.element) }
  }
}

/// Holds modules by name.
public final class NamedChildrenSlot<Value>: ModuleSlot {
  /// The part of the path before the name.
  public let key: String
  /// The modules in order, each with its name.
  public var value: [(name: String, module: Value)] = []
  private let asModule: (Value) -> Module

  init(key: String, asModule: @escaping (Value) -> Module) {
    self.key = key
    self.asModule = asModule
  }

  /// None.
  public var parameter: ParameterSlot? { nil }
  /// The modules.
  public var children: [(key: String, module: Module)] { value.map { ("\(key).\($0.name)", asModule($0.module)) } }
}

/// What can stand behind ``Param``: a tensor, or an optional one.
public protocol ParameterValue {
  /// The value in a slot; traps where a model reads a parameter that its initialiser never made.
  static func value(of slot: ParameterSlot) -> Self
  /// What the slot then holds.
  var tensor: Tensor? { get }
}

extension Tensor: ParameterValue {
  /// The slot's tensor.
  public static func value(of slot: ParameterSlot) -> Tensor {
    guard let value = slot.value else { preconditionFailure("the parameter “\(slot.key)” was never made") }
    return value
  }
  /// Itself.
  public var tensor: Tensor? { self }
}

extension Optional: ParameterValue where Wrapped == Tensor {
  /// The slot's tensor if there is one.
  public static func value(of slot: ParameterSlot) -> Tensor? { slot.value }
  /// The tensor if there is one.
  public var tensor: Tensor? { self }
}

/// A parameter under its checkpoint key.
@propertyWrapper public struct Param<Value: ParameterValue> {
  private let slot: ParameterSlot

  /// Declares the parameter `key`.
  public init(_ key: String) { slot = ParameterSlot(key: key) }

  /// The parameter's tensor.
  public var wrappedValue: Value {
    get { Value.value(of: slot) }
    nonmutating set { slot.value = newValue.tensor }
  }

  /// The slot itself.
  public var projectedValue: ParameterSlot { slot }
}

/// A module under its checkpoint key.
@propertyWrapper public struct Child<Value: Module> {
  private let slot: ChildSlot<Value>

  /// Declares the module `key`.
  public init(_ key: String) { slot = ChildSlot(key: key) { $0 } }

  /// The module.
  public var wrappedValue: Value {
    get { slot.value }
    nonmutating set { slot.value = newValue }
  }

  /// The slot itself.
  public var projectedValue: ChildSlot<Value> { slot }
}

/// A module under its checkpoint key, which some models lack.
@propertyWrapper public struct OptionalChild<Value: Module> {
  private let slot: ChildSlot<Value>

  /// Declares the module `key`.
  public init(_ key: String) { slot = ChildSlot(key: key) { $0 } }

  /// The module if there is one.
  public var wrappedValue: Value? {
    get { slot.held }
    nonmutating set { slot.held = newValue }
  }

  /// The slot itself.
  public var projectedValue: ChildSlot<Value> { slot }
}

/// A numbered list of modules under its checkpoint key.
@propertyWrapper public struct Children<Value: Module> {
  private let slot: ChildrenSlot<Value>

  /// Declares the list `key`.
  public init(_ key: String) { slot = ChildrenSlot(key: key) }

  /// The modules in order.
  public var wrappedValue: [Value] {
    get { slot.value }
    nonmutating set { slot.value = newValue }
  }

  /// The slot itself.
  public var projectedValue: ChildrenSlot<Value> { slot }
}

/// Modules by name under one key: `adapters.default`. For parts that come and go, as adapters do.
@propertyWrapper public struct NamedChildren<Value> {
  private let slot: NamedChildrenSlot<Value>

  /// Declares the group `key`, whose values are modules.
  public init(_ key: String, asModule: @escaping (Value) -> Module) {
    slot = NamedChildrenSlot(key: key, asModule: asModule)
  }

  /// The modules in order, each with its name.
  public var wrappedValue: [(name: String, module: Value)] {
    get { slot.value }
    nonmutating set { slot.value = newValue }
  }

  /// The slot itself.
  public var projectedValue: NamedChildrenSlot<Value> { slot }
}

/// A projection under its checkpoint key. Adapters take its place, which is why its type is a protocol.
@propertyWrapper public struct Projected {
  private let slot: ProjectionSlot

  /// Declares the projection `key`.
  public init(_ key: String) { slot = ProjectionSlot(key: key) { $0 } }

  /// The projection.
  public var wrappedValue: any Projection {
    get { slot.value }
    nonmutating set { slot.value = newValue }
  }

  /// The slot itself.
  public var projectedValue: ProjectionSlot { slot }
}

/// Where a projection stands in a model.
public typealias ProjectionSlot = ChildSlot<any Projection>
