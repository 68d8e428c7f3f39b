import CTorch
import Testing

/// Arguments that would end the process or read foreign memory if they got through.
@Suite struct ShapeCheckTests {
  @Test func shapesThatCannotBe() {
    var out = untouched
    #expect(ct_empty([-1], 1, CT_FLOAT32, cpu, &out) == CT_INVALID_ARGUMENT)
    #expect(ct_empty([1], -1, CT_FLOAT32, cpu, &out) == CT_INVALID_ARGUMENT)
    #expect(ct_empty(nil, 2, CT_FLOAT32, cpu, &out) == CT_INVALID_ARGUMENT)
    #expect(ct_empty([1 << 62, 8], 2, CT_FLOAT32, cpu, &out) == CT_INVALID_ARGUMENT)
    #expect(ct_tensor_copy(nil, 0, [1 << 62, 8, 0], 3, CT_FLOAT32, &out) == CT_INVALID_ARGUMENT)
    #expect(ct_tensor_copy(nil, 16, [1 << 62, 8, 0], 3, CT_FLOAT32, &out) == CT_INVALID_ARGUMENT)
    #expect(ct_tensor_copy(nil, 8, [2], 1, CT_FLOAT32, &out) == CT_INVALID_ARGUMENT)
    #expect(ct_tensor_copy([1] as [Float], 4, [2], 1, CT_FLOAT32, &out) == CT_INVALID_ARGUMENT)
    #expect(lastError().contains("does not fill 4 bytes"))
    #expect(ct_arange(0, .nan, 1, CT_FLOAT32, cpu, &out) == CT_INVALID_ARGUMENT)
    #expect(ct_arange(0, 1, 0, CT_FLOAT32, cpu, &out) == CT_INVALID_ARGUMENT)
    #expect(out.ctx == untouched.ctx)
  }

  @Test func copyIntoAnotherShape() {
    with(zeros([3]), zeros([1])) { operands in
      #expect(ct_copy_into(operands[0], operands[1]) == CT_INVALID_ARGUMENT, "one number does not fill three places unasked")
    }
  }

  @Test func decompositionsThatCannotBe() {
    with(zeros([3]), zeros([2, 2])) { operands in
      var (u, s, vh) = (untouched, untouched, untouched)
      #expect(ct_svd(operands[0], &u, &s, &vh) == CT_INVALID_ARGUMENT)
      #expect(ct_fill_into(operands[1], .nan) == CT_OK)
      #expect(ct_svd(operands[1], &u, &s, &vh) != CT_OK)
      #expect(u.ctx == untouched.ctx && s.ctx == untouched.ctx && vh.ctx == untouched.ctx)
    }
  }

  @Test func cachesThatCannotBe() {
    // Two blocks of four tokens of one head with two features; a row in block 1.
    with(zeros([2, 1, 2, 4]), zeros([2, 1, 4, 2]), zeros([1, 1, 1, 2]), zeros([1, 1, 2])) { operands in
      let (keys, values, query, token) = (operands[0], operands[1], operands[2], operands[3])
      var out = untouched
      func look(_ blocks: [Int32], width: Int64, past: [Int64]) -> ct_status {
        var table = ct_block_table(blocks: nil, rows: Int64(past.count), width: width, past: nil)
        return blocks.withUnsafeBufferPointer { blocks in
          past.withUnsafeBufferPointer { past in
            (table.blocks, table.past) = (blocks.baseAddress, past.baseAddress)
            #expect(ct_cache_put(keys, values, &table, token, query, [1]) != CT_OK, "k and v of different shapes")
            return ct_cached_attention(keys, values, &table, query, 0, 1, &out)
          }
        }
      }
      #expect(look([2], width: 1, past: [0]) == CT_INDEX_RANGE, "there is no block 2")
      #expect(look([-1], width: 1, past: [0]) == CT_INDEX_RANGE)
      #expect(look([1], width: 1, past: [4]) == CT_INDEX_RANGE, "no room for a fifth token")
      #expect(look([1], width: 1, past: [-1]) == CT_INDEX_RANGE)
      #expect(look([], width: 0, past: [0]) == CT_INVALID_ARGUMENT)
      #expect(look([0, 1], width: 1, past: [0, 0]) == CT_INVALID_ARGUMENT, "two rows, and a query of one")
      #expect(out.ctx == untouched.ctx)
      #expect(ct_cached_attention(values, keys, nil, query, 0, 1, &out) == CT_INVALID_ARGUMENT)
    }
  }

  @Test func rotaryWithoutElements() {
    for shape in [[0, 3, 2, 4], [1, 0, 2, 4], [1, 3, 0, 4]] as [[Int64]] {
      with(zeros(shape), zeros([shape[0], shape[1], 2]), zeros([shape[0], shape[1], 2])) { operands in
        var out = ct_tensor()
        #expect(ct_rotary(operands[0], operands[1], operands[2], &out) == CT_OK)
        ct_tensor_free(out)
      }
    }
    with(zeros([1, 3, 2, 4]), zeros([1, 3, 3]), zeros([1, 3, 3])) { operands in
      var out = untouched
      #expect(ct_rotary(operands[0], operands[1], operands[2], &out) == CT_INVALID_ARGUMENT)
    }
  }

  @Test func layersWithoutElements() {
    with(zeros([0, 4]), zeros([4]), zeros([3, 0]), zeros([0]), zeros([])) { operands in
      let calls: [(UnsafeMutablePointer<ct_tensor>) -> ct_status] = [
        { ct_rms_norm(operands[0], operands[1], 1e-5, $0) }, { ct_rms_norm(operands[2], operands[3], 1e-5, $0) },
        { ct_swiglu(operands[0], operands[0], $0) }, { ct_swiglu(operands[2], operands[2], $0) },
        { ct_swiglu(operands[4], operands[4], $0) },
      ]
      var out = ct_tensor()
      for call in calls {
        #expect(call(&out) == CT_OK)
        ct_tensor_free(out)
      }
      out = untouched
      #expect(ct_rms_norm(operands[4], operands[1], 1e-5, &out) == CT_INVALID_ARGUMENT)
      #expect(ct_rms_norm(operands[0], operands[4], 1e-5, &out) == CT_INVALID_ARGUMENT)
      #expect(out.ctx == untouched.ctx)
    }
  }

  @Test func lstmsThatDoNotFit() {
    // One layer of two states over three features, both ways.
    with(zeros([4, 3]), zeros([8, 3]), zeros([8, 2]), zeros([8]), zeros([])) { operands in
      let (x, input, hidden, bias, number) = (operands[0], operands[1], operands[2], operands[3], operands[4])
      let whole = [input, hidden, bias, bias, input, hidden, bias, bias]
      var out = ct_tensor()
      #expect(ct_bidirectional_lstm(x, whole, 8, 1, 0, &out) == CT_OK)
      ct_tensor_free(out)
      let cases: [(x: ct_tensor, weights: [ct_tensor], layers: Int64, dropout: Double)] = [
        (x, Array(whole.dropLast()), 1, 0), (x, whole, 2, 0), (x, whole, 0, 0), (x, whole, -1, 0), (bias, whole, 1, 0),
        (input, whole, 1, 1), (x, Array(repeating: bias, count: 8), 1, 0), (x, Array(repeating: number, count: 8), 1, 0),
        (hidden, whole, 1, 0), (x, Array(repeating: hidden, count: 8), 1, 0),
      ]
      for (index, item) in cases.enumerated() {
        out = untouched
        let status = ct_bidirectional_lstm(item.x, item.weights, Int64(item.weights.count), item.layers, item.dropout, &out)
        #expect(status == CT_INVALID_ARGUMENT, "case \(index)")
        #expect(out.ctx == untouched.ctx)
      }
    }
  }

  @Test(arguments: [true, false]) func segmentsThatDoNotFit(fused: Bool) {
    let before = ct_fused_kernels()
    ct_set_fused_kernels(fused)
    defer { ct_set_fused_kernels(before) }
    let cases: [(q: [Int64], k: [Int64], lengths: [Int64], window: Int64)] = [
      ([4, 2, 8], [4, 2, 8], [], 0), ([4, 2, 8], [4, 2, 8], [3], 0), ([4, 2, 8], [4, 2, 8], [5], 0),
      ([4, 2, 8], [4, 2, 8], [0, 4], 0), ([4, 2, 8], [4, 2, 8], [5, -1], 0), ([4, 2, 8], [4, 2, 8], [.max, .max, 6], 0),
      ([4, 2, 8], [4, 2, 8], [4], -1), ([4, 3, 8], [4, 2, 8], [4], 0), ([4, 0, 8], [4, 2, 8], [4], 0),
      ([4, 2, 8], [4, 0, 8], [4], 0), ([4, 2, 0], [4, 2, 0], [4], 0), ([4, 2, 8], [3, 2, 8], [4], 0),
      ([4, 2, 8], [4, 2, 4], [4], 0), ([4, 16], [4, 16], [4], 0),
    ]
    for (q, k, lengths, window) in cases {
      with(zeros(q), zeros(k)) { operands in
        var out = untouched
        let status = ct_segment_attention(
          operands[0], operands[1], operands[1], lengths, nil, Int64(lengths.count), window, 0, 1, &out)
        #expect(status == CT_INVALID_ARGUMENT, "\(q), \(k), \(lengths), \(window)")
        #expect(out.ctx == untouched.ctx)
      }
    }
    with(zeros([0, 2, 8])) { operands in
      var out = ct_tensor()
      #expect(ct_segment_attention(operands[0], operands[0], operands[0], nil, nil, 0, 0, 0, 1, &out) == CT_OK, "an empty row")
      ct_tensor_free(out)
    }
    for before in [[-1, 1], [0, 1], [1, 2], [.max, 3], [3, 0]] as [[Int64]] {
      with(zeros([4, 2, 8]), zeros([6, 2, 8])) { operands in
        var out = untouched
        let status = ct_segment_attention(operands[0], operands[1], operands[1], [1, 3], before, 2, 0, 0, 1, &out)
        #expect(status == CT_INVALID_ARGUMENT, "keys before: \(before)")
        #expect(out.ctx == untouched.ctx)
      }
    }
  }

  @Test func attentionThatDoesNotFit() {
    let fits: [Int64] = [1, 2, 4, 8]
    for other in [[1, 2, 4], [2, 2, 4, 8], [1, 3, 4, 8], [1, 0, 4, 8], [1, 2, 4, 6]] as [[Int64]] {
      with(zeros(fits), zeros(other)) { operands in
        var out = untouched
        #expect(
          ct_attention(operands[0], operands[1], operands[1], ct_tensor(), false, 0, 1, &out) == CT_INVALID_ARGUMENT, "\(other)")
      }
    }
    with(zeros(fits), zeros([1, 2, 3, 8]), zeros([2, 4])) { operands in
      var out = untouched
      #expect(ct_attention(operands[0], operands[0], operands[1], ct_tensor(), false, 0, 1, &out) == CT_INVALID_ARGUMENT)
      #expect(ct_attention(operands[0], operands[0], operands[0], operands[2], true, 0, 1, &out) == CT_INVALID_ARGUMENT)
    }
    for shape in [[1, 2, 0, 8], [1, 2, 4, 0]] as [[Int64]] {
      with(zeros(shape)) { operands in
        var out = ct_tensor()
        #expect(ct_attention(operands[0], operands[0], operands[0], ct_tensor(), false, 0, 1, &out) == CT_OK, "\(shape)")
        ct_tensor_free(out)
      }
    }
  }

  @Test func optimizerStepsThatDoNotFit() {
    with(zeros([2]), zeros([1])) { operands in
      let (two, one) = (operands[0], operands[1])
      func step(_ number: Int64, gradient: ct_tensor) -> ct_status {
        var settings = ct_step_settings()
        (settings.rule, settings.step) = (CT_STEP_ADAMW, number)
        return ct_optimizer_step([parameter(gradient: gradient)], 1, &settings)
      }
      func parameter(gradient: ct_tensor) -> ct_moved_parameter {
        var parameter = ct_moved_parameter()
        (parameter.parameter, parameter.gradient) = (two, gradient)
        (parameter.first.numbers, parameter.second.numbers) = (two, two)
        return parameter
      }
      #expect(step(1, gradient: one) == CT_INVALID_ARGUMENT)
      #expect(step(0, gradient: two) == CT_INVALID_ARGUMENT)
      #expect(ct_set_grad(two, one) == CT_INVALID_ARGUMENT)
      var settings = ct_step_settings()
      (settings.rule, settings.step) = (CT_STEP_LION, 1)
      var coded = parameter(gradient: two)
      coded.first.scales = one
      #expect(ct_optimizer_step([coded], 1, &settings) == CT_INVALID_ARGUMENT, "float32 with scales")
      coded.first = ct_step_state()
      #expect(ct_optimizer_step([coded], 1, &settings) == CT_INVALID_ARGUMENT, "nothing to remember in")
      var adafactor = ct_adafactor_settings()
      adafactor.step = 1
      var factored = ct_adafactor_parameter()
      (factored.parameter, factored.gradient, factored.squares) = (two, two, one)
      #expect(ct_adafactor_step([factored], 1, &adafactor) == CT_INVALID_ARGUMENT)
      var out = untouched
      #expect(ct_decode_blocks(two, one, true, &out) == CT_INVALID_ARGUMENT, "codes are uint8")
      #expect(ct_set_threads(0) != CT_OK)
    }
  }

  @Test func lossesThatDoNotFit() {
    with(zeros([3, 4]), zeros([7, 4]), integers([0, 7, -100], [3]), integers([0], [1])) { operands in
      var out = untouched
      #expect(
        ct_linear_cross_entropy(operands[0], operands[1], ct_tensor(), operands[2], 8, &out) == CT_INDEX_RANGE, "\(lastError())")
      #expect(ct_linear_cross_entropy(operands[0], operands[1], ct_tensor(), operands[3], 8, &out) == CT_INVALID_ARGUMENT)
      #expect(ct_linear_cross_entropy(operands[0], operands[1], operands[0], operands[2], 8, &out) == CT_INVALID_ARGUMENT)
      #expect(ct_linear_cross_entropy(operands[0], operands[0], ct_tensor(), operands[2], 0, &out) == CT_INVALID_ARGUMENT)
      #expect(ct_linear_log_probs(operands[0], operands[1], ct_tensor(), operands[3], 8, &out) == CT_INVALID_ARGUMENT)
      #expect(out.ctx == untouched.ctx)
    }
  }

  @Test func teachersThatDoNotFit() {
    with(zeros([3, 4]), zeros([7, 4]), integers([0, 6, 1], [3]), integers([0, 7, 1], [3, 1]), zeros([3, 1])) { operands in
      let (hidden, weight, targets) = (operands[0], operands[1], operands[2])
      var out = untouched
      var kind = ct_distillation(forward: 1, reverse: 0, jensen_shannon: 0, beta: 0.5, temperature: 1, share: 1)
      var teacher = ct_teacher()
      func run() -> ct_status { ct_linear_distillation(hidden, weight, ct_tensor(), teacher, targets, kind, 2, &out) }
      #expect(run() == CT_INVALID_ARGUMENT, "no teacher")
      (teacher.hidden, teacher.weight, teacher.logits) = (hidden, weight, weight)
      #expect(run() == CT_INVALID_ARGUMENT, "two teachers")
      (teacher.logits, teacher.weight) = (ct_tensor(), hidden)
      #expect(run() == CT_INVALID_ARGUMENT, "another vocabulary")
      teacher = ct_teacher()
      (teacher.ids, teacher.log_probs) = (operands[3], operands[4])
      #expect(run() == CT_INDEX_RANGE, "a token that is none: \(lastError())")
      teacher.log_probs = hidden
      #expect(run() == CT_INVALID_ARGUMENT, "tokens without log-probabilities")
      teacher = ct_teacher()
      (teacher.hidden, teacher.weight) = (hidden, weight)
      kind.temperature = 0
      #expect(run() == CT_INVALID_ARGUMENT, "no temperature")
      (kind.temperature, kind.jensen_shannon, kind.beta) = (1, 1, 1)
      #expect(run() == CT_INVALID_ARGUMENT, "no mixture")
      (kind.beta, kind.share) = (0.5, 1.5)
      #expect(run() == CT_INVALID_ARGUMENT, "more than all")
      #expect(out.ctx == untouched.ctx)
    }
  }
}
