import CTorch

extension Tensor {
  private func unary(_ op: ct_unary_op, _ name: StaticString) throws(TorchError) -> Tensor {
    try Tensor.make(name, self) { ct_unary(op, raw, $0) }
  }

  private static func binary(_ op: ct_binary_op, _ name: StaticString, _ a: Tensor, _ b: Tensor) throws(TorchError) -> Tensor {
    try make(name, a, b) { ct_binary(op, a.raw, b.raw, $0) }
  }

  private static func scalar(_ op: ct_binary_op, _ name: StaticString, _ a: Tensor, _ b: Double) throws(TorchError) -> Tensor {
    try make(name, a) { ct_binary_scalar(op, a.raw, b, $0) }
  }

  // MARK: Of two tensors, with broadcasting

  /// The sum of two tensors.
  public static func + (a: Tensor, b: Tensor) throws(TorchError) -> Tensor { try binary(CT_ADD, "add", a, b) }
  /// The difference of two tensors.
  public static func - (a: Tensor, b: Tensor) throws(TorchError) -> Tensor { try binary(CT_SUB, "sub", a, b) }
  /// The product, element by element.
  public static func * (a: Tensor, b: Tensor) throws(TorchError) -> Tensor { try binary(CT_MUL, "mul", a, b) }
  /// The quotient, element by element.
  public static func / (a: Tensor, b: Tensor) throws(TorchError) -> Tensor { try binary(CT_DIV, "div", a, b) }
  // A tensor of integers takes whole numbers and stays one; divided, it becomes float32.

  /// A number added to each element.
  public static func + (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_ADD, "add", a, b) }
  /// A number taken from each element.
  public static func - (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_SUB, "sub", a, b) }
  /// Each element times a number.
  public static func * (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_MUL, "mul", a, b) }
  /// Each element divided by a number.
  public static func / (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_DIV, "div", a, b) }
  /// Each element with its sign turned.
  public static prefix func - (a: Tensor) throws(TorchError) -> Tensor { try a.unary(CT_NEG, "neg") }

  /// The matrix product over the last two dimensions.
  public func matmul(_ other: Tensor) throws(TorchError) -> Tensor { try Tensor.binary(CT_MATMUL, "matmul", self, other) }
  /// Each element to the power of `exponent`.
  public func pow(_ exponent: Double) throws(TorchError) -> Tensor { try Tensor.scalar(CT_POW, "pow", self, exponent) }
  /// The larger of each two elements.
  public func maximum(_ other: Tensor) throws(TorchError) -> Tensor { try Tensor.binary(CT_MAXIMUM, "maximum", self, other) }
  /// The smaller of each two elements.
  public func minimum(_ other: Tensor) throws(TorchError) -> Tensor { try Tensor.binary(CT_MINIMUM, "minimum", self, other) }

  // MARK: Comparisons, as booleans

  /// Where elements are equal.
  public static func .== (a: Tensor, b: Tensor) throws(TorchError) -> Tensor { try binary(CT_EQ, "eq", a, b) }
  /// Where an element is less than the other's.
  public static func .< (a: Tensor, b: Tensor) throws(TorchError) -> Tensor { try binary(CT_LT, "lt", a, b) }
  /// Where an element is at most the other's.
  public static func .<= (a: Tensor, b: Tensor) throws(TorchError) -> Tensor { try binary(CT_LE, "le", a, b) }
  /// Where elements equal a number.
  public static func .== (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_EQ, "eq", a, b) }
  /// Where elements differ from a number.
  public static func .!= (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_NE, "ne", a, b) }
  /// Where elements are less than a number.
  public static func .< (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_LT, "lt", a, b) }
  /// Where elements are greater than a number.
  public static func .> (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_GT, "gt", a, b) }
  /// Where elements are at least a number.
  public static func .>= (a: Tensor, b: Double) throws(TorchError) -> Tensor { try scalar(CT_GE, "ge", a, b) }
  /// Where both are true.
  public func and(_ other: Tensor) throws(TorchError) -> Tensor { try Tensor.binary(CT_AND, "logical_and", self, other) }
  /// Where either is true.
  public func or(_ other: Tensor) throws(TorchError) -> Tensor { try Tensor.binary(CT_OR, "logical_or", self, other) }
  /// Where it is false.
  public func not() throws(TorchError) -> Tensor { try unary(CT_LOGICAL_NOT, "logical_not") }
  /// Where it is neither infinite nor NaN.
  public func isFinite() throws(TorchError) -> Tensor { try unary(CT_ISFINITE, "isfinite") }

  /// True where shapes, types and all elements are equal.
  public func isEqual(to other: Tensor) throws(TorchError) -> Bool {
    guard dtype == other.dtype else { return false }
    var equal = false
    try Tensor.run("equal", self, other) { ct_equal(raw, other.raw, &equal) }
    return equal
  }

  // MARK: Element by element

  /// |x|
  public func abs() throws(TorchError) -> Tensor { try unary(CT_ABS, "abs") }
  /// eˣ
  public func exp() throws(TorchError) -> Tensor { try unary(CT_EXP, "exp") }
  /// The natural logarithm.
  public func log() throws(TorchError) -> Tensor { try unary(CT_LOG, "log") }
  /// √x
  public func sqrt() throws(TorchError) -> Tensor { try unary(CT_SQRT, "sqrt") }
  /// 1/√x
  public func rsqrt() throws(TorchError) -> Tensor { try unary(CT_RSQRT, "rsqrt") }
  /// sin x
  public func sin() throws(TorchError) -> Tensor { try unary(CT_SIN, "sin") }
  /// cos x
  public func cos() throws(TorchError) -> Tensor { try unary(CT_COS, "cos") }
  /// tanh x
  public func tanh() throws(TorchError) -> Tensor { try unary(CT_TANH, "tanh") }
  /// 1/(1 + e⁻ˣ)
  public func sigmoid() throws(TorchError) -> Tensor { try unary(CT_SIGMOID, "sigmoid") }
  /// max(x, 0)
  public func relu() throws(TorchError) -> Tensor { try unary(CT_RELU, "relu") }
  /// ln σ(x)
  public func logSigmoid() throws(TorchError) -> Tensor { try unary(CT_LOG_SIGMOID, "log_sigmoid") }
  /// eˣ − 1, exact near 0
  public func expm1() throws(TorchError) -> Tensor { try unary(CT_EXPM1, "expm1") }
  /// x·sigmoid(x)
  public func silu() throws(TorchError) -> Tensor { try unary(CT_SILU, "silu") }
  /// x·Φ(x), with erf.
  public func gelu() throws(TorchError) -> Tensor { try unary(CT_GELU, "gelu") }
  /// GELU by the tanh formula of GPT-2.
  public func geluTanh() throws(TorchError) -> Tensor { try unary(CT_GELU_TANH, "gelu") }

  /// Elements limited to low … high.
  public func clamp(_ low: Double, _ high: Double) throws(TorchError) -> Tensor {
    try Tensor.make("clamp", self) { ct_clamp(raw, low, high, $0) }
  }

  /// `value` where `mask` is true.
  public func masked(by mask: Tensor, fill value: Double) throws(TorchError) -> Tensor {
    try Tensor.make("masked_fill", self, mask) { ct_masked_fill(raw, mask.raw, value, $0) }
  }

  /// `a` where `condition` is true, else `b`.
  public static func choose(_ condition: Tensor, _ a: Tensor, _ b: Tensor) throws(TorchError) -> Tensor {
    try make("where", condition, a, b) { ct_where(condition.raw, a.raw, b.raw, $0) }
  }
}

infix operator .== : ComparisonPrecedence
infix operator .!= : ComparisonPrecedence
