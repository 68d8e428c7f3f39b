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
  /// Whether the module can do without it.
  public let isOptional: Bool
  /// The numbers; nil for an optional parameter that a model lacks. One that is not optional cannot be taken away.
  public var value: Tensor? {
    willSet { precondition(newValue != nil || isOptional, "the parameter “\(key)” cannot be taken away") }
  }

  init(key: String, value: Tensor?, isOptional: Bool) {
    self.key = key
    self.value = value
    self.isOptional = isOptional
  }

  /// Itself.
  public var parameter: ParameterSlot? { self }
  /// None.
  public var children: [(key: String, module: Module)] { [] }
}

/// Holds one module.
public final class ChildSlot<Value>: ModuleSlot {
  /// The last part of its path.
  public let key: String
  /// The module.
  public var value: Value
  private let asModule: (Value) -> Module

  init(key: String, value: Value, asModule: @escaping (Value) -> Module) {
    self.key = key
    self.value = value
    self.asModule = asModule
  }

  /// None.
  public var parameter: ParameterSlot? { nil }
  /// The module.
  public var children: [(key: String, module: Module)] { [(key, asModule(value))] }
}

/// Holds a numbered list of modules: `layers.0`, `layers.1` …
public final class ChildrenSlot<Value: Module>: ModuleSlot {
  /// The part of the path before the number.
  public let key: String
  /// The modules in order.
  public var value: [Value]

  init(key: String, value: [Value]) {
    self.key = key
    self.value = value
  }

  /// None.
  public var parameter: ParameterSlot? { nil }
  /// The modules.
  public var children: [(key: String, module: Module)] {
    value.enumerated().map { ("\(key).\($0.offset)", $0.element) }
  }
}

/// What can stand behind ``Param``: a tensor, or an optional one.
public protocol ParameterValue {
  /// Whether there may be none.
  static var isOptional: Bool { get }
  /// The tensor if there is one.
  var tensor: Tensor? { get }
  /// What `slot` holds.
  init(parameter slot: ParameterSlot)
}

extension Tensor: ParameterValue {
  /// False.
  public static var isOptional: Bool { false }
  /// Itself.
  public var tensor: Tensor? { self }
  /// The tensor of a slot that always holds one.
  public init(parameter slot: ParameterSlot) {
    guard let value = slot.value else { preconditionFailure("the parameter “\(slot.key)” was made without a tensor") }
    self = value
  }
}

extension Optional: ParameterValue where Wrapped == Tensor {
  /// True.
  public static var isOptional: Bool { true }
  /// The tensor if there is one.
  public var tensor: Tensor? { self }
  /// The tensor or none.
  public init(parameter slot: ParameterSlot) { self = slot.value }
}

/// A parameter under its checkpoint key.
@propertyWrapper public struct Param<Value: ParameterValue> {
  private let slot: ParameterSlot

  /// Declares the parameter `key`.
  public init(wrappedValue: Value, _ key: String) {
    slot = ParameterSlot(key: key, value: wrappedValue.tensor, isOptional: Value.isOptional)
  }

  /// The parameter's tensor.
  public var wrappedValue: Value {
    get { Value(parameter: slot) }
    nonmutating set { slot.value = newValue.tensor }
  }

  /// The slot itself.
  public var projectedValue: ParameterSlot { slot }
}

/// A module under its checkpoint key.
@propertyWrapper public struct Child<Value: Module> {
  private let slot: ChildSlot<Value>

  /// Declares the module `key`.
  public init(wrappedValue: Value, _ key: String) {
    slot = ChildSlot(key: key, value: wrappedValue) { $0 }
  }

  /// The module.
  public var wrappedValue: Value {
    get { slot.value }
    nonmutating set { slot.value = newValue }
  }

  /// The slot itself.
  public var projectedValue: ChildSlot<Value> { slot }
}

/// A numbered list of modules under its checkpoint key.
@propertyWrapper public struct Children<Value: Module> {
  private let slot: ChildrenSlot<Value>

  /// Declares the list `key`.
  public init(wrappedValue: [Value], _ key: String) { slot = ChildrenSlot(key: key, value: wrappedValue) }

  /// The modules in order.
  public var wrappedValue: [Value] {
    get { slot.value }
    nonmutating set { slot.value = newValue }
  }

  /// The slot itself.
  public var projectedValue: ChildrenSlot<Value> { slot }
}

/// A projection under its checkpoint key. Adapters take its place, which is why its type is a protocol.
@propertyWrapper public struct Projected {
  private let slot: ProjectionSlot

  /// Declares the projection `key`.
  public init(wrappedValue: any Projection, _ key: String) {
    slot = ProjectionSlot(key: key, value: wrappedValue) { $0 }
  }

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
