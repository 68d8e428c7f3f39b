import CTorch
import Testing

/// Null handles and null out-parameters are invalid arguments everywhere, never a crash.
@Suite struct NullTests {
  private typealias Call = @Sendable (_ some: ct_tensor, _ out: UnsafeMutablePointer<ct_tensor>?) -> ct_status
  private static var none: ct_tensor { ct_tensor() }

  private static func weight(_ numbers: ct_tensor) -> ct_linear_weight {
    var weight = ct_linear_weight()
    weight.weight = numbers
    return weight
  }

  /// Each function that makes a tensor, with one operand missing.
  private static let missingOperand: [(String, Call)] = [
    ("to_dtype", { ct_to_dtype(none, CT_FLOAT32, $1) }), ("to_device", { ct_to_device(none, cpu, $1) }),
    ("contiguous", { ct_contiguous(none, $1) }), ("clone", { ct_clone(none, $1) }),
    ("unary", { ct_unary(CT_NEG, none, $1) }), ("binary, first", { ct_binary(CT_ADD, none, $0, $1) }),
    ("binary, second", { ct_binary(CT_ADD, $0, none, $1) }), ("scalar", { ct_binary_scalar(CT_ADD, none, 1, $1) }),
    ("clamp", { ct_clamp(none, 0, 1, $1) }), ("reduce", { ct_reduce(CT_SUM, none, nil, 0, false, $1) }),
    ("argmax", { ct_argmax(none, 0, $1) }), ("softmax", { ct_softmax(none, 0, $1) }),
    ("log_softmax", { ct_log_softmax(none, 0, $1) }), ("cumsum", { ct_cumsum(none, 0, $1) }),
    ("reshape", { ct_reshape(none, [1], 1, $1) }), ("expand", { ct_expand(none, [1], 1, $1) }),
    ("permute", { ct_permute(none, [0], 1, $1) }), ("transpose", { ct_transpose(none, 0, 0, $1) }),
    ("unsqueeze", { ct_unsqueeze(none, 0, $1) }), ("squeeze", { ct_squeeze(none, 0, $1) }),
    ("narrow", { ct_narrow(none, 0, 0, 1, $1) }), ("select", { ct_select(none, 0, 0, $1) }),
    ("cat", { ct_cat([$0, none], 2, 0, $1) }), ("cat, no list", { ct_cat(nil, 1, 0, $1) }),
    ("stack", { ct_stack([none], 1, 0, $1) }), ("index_select", { ct_index_select($0, 0, none, $1) }),
    ("gather", { ct_gather($0, 0, none, $1) }), ("scatter", { ct_scatter($0, 0, $0, none, $1) }),
    ("where", { ct_where(none, $0, $0, $1) }), ("masked_fill", { ct_masked_fill($0, none, 0, $1) }),
    ("linears", { ct_linears($0, [ct_linear_weight()], 1, $1) }),
    ("linears, no input", { ct_linears(none, [weight($0)], 1, $1) }),
    (
      "linears, one factor",
      {
        var half = weight($0)
        half.a = $0
        return ct_linears($0, [half], 1, $1)
      }
    ),
    (
      "linears, no parts",
      { x, out in
        withUnsafePointer(to: ct_packed_weight()) { packed in
          var weight = ct_linear_weight()
          weight.packed = packed
          return ct_linears(x, [weight], 1, out)
        }
      }
    ),
    ("expand_packed", { ct_expand_packed([ct_packed_weight()], 0, 1, CT_FLOAT32, $1) }),
    ("expand_packed, no weight", { ct_expand_packed(nil, 0, 1, CT_FLOAT32, $1) }),
    ("expand_quantized", { ct_expand_quantized($0, none, CT_FLOAT32, $1) }),
    ("cached_attention", { ct_cached_attention($0, none, nil, $0, 0, 1, $1) }), ("embedding", { ct_embedding(none, $0, $1) }),
    ("layer_norm", { ct_layer_norm($0, $0, none, 1e-5, $1) }), ("rms_norm", { ct_rms_norm($0, none, 1e-5, $1) }),
    ("add_and_norm", { ct_add_and_norm($0, none, $0, none, 1e-5, $1, $1) }),
    ("split", { ct_split(none, [1], 1, 0, $1) }), ("dropout", { ct_dropout(none, 0.5, $1) }),
    ("rotary", { ct_rotary($0, none, $0, $1) }),
    ("swiglu", { ct_swiglu($0, none, $1) }), ("attention", { ct_attention($0, none, $0, none, false, 0, 1, $1) }),
    ("segment_attention", { ct_segment_attention($0, $0, none, [1], nil, 1, 0, 0, 1, $1) }),
    ("lstm", { ct_bidirectional_lstm(none, nil, 0, 1, 0, $1) }),
    ("decode_blocks", { ct_decode_blocks($0, none, true, $1) }), ("round_at_random", { ct_round_at_random(none, 0, $1) }),
    ("linear_cross_entropy", { ct_linear_cross_entropy($0, $0, none, none, 8, $1) }),
    (
      "linear_distillation",
      { ct_linear_distillation($0, $0, none, ct_teacher(), none, ct_distillation(), 8, $1) }
    ),
    ("logit_distillation", { ct_logit_distillation(none, ct_teacher(), $0, ct_distillation(), $1) }),
    ("linear_log_probs", { ct_linear_log_probs($0, $0, none, none, 8, $1) }),
    ("token_log_probs", { ct_token_log_probs($0, none, $1) }), ("detach", { ct_detach(none, $1) }),
  ]

  @Test func nullHandles() {
    with(zeros([1])) { operands in
      for (name, call) in Self.missingOperand {
        var out = untouched
        #expect(call(operands[0], &out) == CT_INVALID_ARGUMENT, "\(name)")
        #expect(lastError().contains("null") || name.hasPrefix("cat, no list"), "\(name): \(lastError())")
        #expect(out.ctx == untouched.ctx, "\(name)")
      }
    }
  }

  @Test func nullHandlesOfQuestions() {
    var (flag, number, place) = (true, Int64(-5), -5.0)
    var (id, type, device) = (UInt64(5), CT_BOOL, cpu)
    var (sizes, data): (UnsafePointer<Int64>?, UnsafeMutableRawPointer?) = (nil, nil)
    let none = Self.none
    #expect(ct_shape(none, &sizes, &number) == CT_INVALID_ARGUMENT)
    #expect(ct_count(none, &number) == CT_INVALID_ARGUMENT)
    #expect(ct_dtype_of(none, &type) == CT_INVALID_ARGUMENT)
    #expect(ct_device_of(none, &device) == CT_INVALID_ARGUMENT)
    #expect(ct_is_contiguous(none, &flag) == CT_INVALID_ARGUMENT)
    #expect(ct_data(none, &data) == CT_INVALID_ARGUMENT)
    #expect(ct_item(none, &place) == CT_INVALID_ARGUMENT)
    #expect(ct_storage_id(none, &id) == CT_INVALID_ARGUMENT)
    #expect(ct_requires_grad(none, &flag) == CT_INVALID_ARGUMENT)
    #expect(ct_equal(none, none, &flag) == CT_INVALID_ARGUMENT)
    #expect(flag && number == -5 && place == -5 && id == 5 && type == CT_BOOL, "nothing was written")
    var step = ct_step_settings()
    step.step = 1
    var adafactor = ct_adafactor_settings()
    adafactor.step = 1
    let nothing = ct_gradient_function(context: nil, run: nil, release: nil)
    for status in [
      ct_set_requires_grad(none, true), ct_backward(none), ct_set_grad(none, none), ct_copy_into(none, none),
      ct_add_into(none, none, 1), ct_scale_into(none, 1), ct_fill_into(none, 1), ct_normal_into(none, 0, 1),
      ct_uniform_into(none, 0, 1), ct_set_random_state(ct_device(kind: CT_CPU, index: 0), none),
      ct_optimizer_step([ct_moved_parameter()], 1, &step), ct_optimizer_step([], 0, nil), ct_norm_of_all([none], 1, &place),
      ct_adafactor_step([ct_adafactor_parameter()], 1, &adafactor), ct_adafactor_step([], 0, nil), ct_dynamic_map(true, nil),
      ct_on_gradient(none, nothing), ct_clear_on_gradient(none),
      ct_cache_put(none, none, nil, none, none, nil),
    ] {
      #expect(status == CT_INVALID_ARGUMENT)
    }
    ct_tensor_free(none)
  }

  @Test func nullOutParameters() {
    with(zeros([1])) { operands in
      let some = operands[0]
      var rank: Int64 = 0
      var (other, third) = (untouched, untouched)
      var has = true
      for status in [
        ct_unary(CT_NEG, some, nil), ct_empty([1], 1, CT_FLOAT32, cpu, nil), ct_full([1], 1, 0, CT_FLOAT32, cpu, nil),
        ct_arange(0, 1, 1, CT_FLOAT32, cpu, nil), ct_tensor_copy(nil, 0, [0], 1, CT_FLOAT32, nil), ct_shape(some, nil, &rank),
        ct_count(some, nil), ct_dtype_of(some, nil), ct_device_of(some, nil), ct_is_contiguous(some, nil), ct_data(some, nil),
        ct_item(some, nil), ct_storage_id(some, nil), ct_requires_grad(some, nil), ct_equal(some, some, nil),
        ct_sort(some, 0, true, nil, &other), ct_sort(some, 0, true, &other, nil), ct_topk(some, 1, 0, &other, nil),
        ct_linears(some, [Self.weight(some)], 1, nil), ct_svd(some, nil, &other, &third), ct_svd(some, &other, &third, nil),
        ct_quantize(some, nil, &other), ct_pack(some, CT_PACKED_NF4, 64, false, nil),
        ct_expand_packed([ct_packed_weight()], 0, 1, CT_FLOAT32, nil),
        ct_quantize(some, &other, nil), ct_expand_quantized(some, some, CT_FLOAT32, nil),
        ct_cached_attention(some, some, nil, some, 0, 1, nil),
        ct_grad(some, nil, &other), ct_grad(some, &has, nil), ct_random_state(ct_device(kind: CT_CPU, index: 0), nil),
      ] {
        #expect(status == CT_INVALID_ARGUMENT)
      }
      #expect(other.ctx == untouched.ctx)
    }
  }
}
