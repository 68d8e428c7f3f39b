import Text

/// A sample as the model will see it, token by token.
public struct SamplePreview: Sendable, Hashable, Codable {
  /// One token.
  public struct Token: Sendable, Hashable, Codable {
    /// Its id.
    public var id: Int32
    /// What it stands for. Bytes that are no character by themselves are written `\xNN`.
    public var text: String
    /// True where it is learnt.
    public var isTrained: Bool
    /// True for a special token.
    public var isSpecial: Bool
  }

  /// Where the sample was read.
  public var location: SourceLocation
  /// The tokens that are used: the whole sample, or its first piece where it is cut.
  public var tokens: [Token]
  /// How many tokens it has uncut.
  public var tokenCount: Int
  /// How many of `tokens` are targets.
  public var targets: Int
  /// Why the sample is left out; nil where it is not.
  public var leftOut: String?
  /// Which of several answers it shows, `chosen`, `rejected`, or `answer 1` and so on; nil where there is one.
  public var answer: String?
}

extension SampleEncoder {
  /// What a sample becomes, token by token: one preview, or one for each of several answers.
  ///
  /// - Throws: ``RowProblem`` where it cannot be encoded.
  public func previews(_ sample: Sample) throws(RowProblem) -> [SamplePreview] {
    guard case .ranking(let answers) = sample.content else { return [try preview(sample)] }
    let leftOut = try fit(sample, index: 0).fate.reason
    var previews: [SamplePreview] = []
    for (name, content) in zip(Sample.Content.names(ofAnswers: answers.count), answers) {
      var one = sample
      one.content = content
      var preview = try preview(one)
      (preview.answer, preview.leftOut) = (name, leftOut)
      previews.append(preview)
    }
    return previews
  }

  /// What a sample with one answer becomes, token by token.
  ///
  /// - Throws: ``RowProblem`` where it cannot be encoded.
  public func preview(_ sample: Sample) throws(RowProblem) -> SamplePreview {
    let whole = try tokens(of: sample)
    let fitted = try fit(sample, index: 0)
    let (ids, trained) = fitted.pieces.first.map { ($0.ids, $0.trained) } ?? (whole.ids, whole.trained)
    return SamplePreview(
      location: sample.location, tokens: zip(ids, trained).map { token($0, isTrained: $1) }, tokenCount: whole.ids.count,
      targets: fitted.pieces.first?.targetCount ?? 0, leftOut: fitted.fate.reason)
  }

  private func token(_ id: Int32, isTrained: Bool) -> SamplePreview.Token {
    let isSpecial = tokenizer.isSpecial(id)
    let text = isSpecial ? tokenizer.token(of: id) ?? "" : tokenizer.bytes(of: id).visible
    return SamplePreview.Token(id: id, text: text, isTrained: isTrained, isSpecial: isSpecial)
  }
}

extension SamplePreview {
  /// How learnt tokens are set off.
  public enum Style: Sendable {
    /// Colours of a terminal: learnt tokens green, others dim, special tokens bold.
    case colours
    /// Characters: learnt stretches in ⟦…⟧, special tokens in ‹…›.
    case marks
  }

  /// The preview as text: a line about the sample, then its tokens, divided by “|”; a line end shows as ↵.
  public func text(_ style: Style) -> String {
    var head = "\(location)  \(answer.map { "\($0): " } ?? "")\(tokens.count) tokens, \(targets) learnt"
    if tokens.count < tokenCount { head += ", cut from \(tokenCount)" }
    if let leftOut { head += ", left out: \(leftOut)" }
    return head + "\n" + (style == .colours ? coloured : marked) + "\n"
  }

  private var coloured: String {
    let pieces = tokens.map { token in
      "\u{1B}[\(token.isSpecial ? "1;" : "")\(token.isTrained ? "32" : "2")m\(token.shown)\u{1B}[0m"
    }
    return pieces.joined(separator: "\u{1B}[2m|\u{1B}[0m")
  }

  private var marked: String {
    var text = ""
    for (index, token) in tokens.enumerated() {
      let startsRun = token.isTrained && (index == 0 || !tokens[index - 1].isTrained)
      let endsRun = token.isTrained && (index + 1 == tokens.count || !tokens[index + 1].isTrained)
      if index > 0 { text += "|" }
      text += (startsRun ? "⟦" : "") + (token.isSpecial ? "‹\(token.shown)›" : token.shown) + (endsRun ? "⟧" : "")
    }
    return text
  }
}

extension SamplePreview.Token {
  /// With line ends marked, and control characters spelt so that a terminal does not obey them.
  fileprivate var shown: String {
    var shown = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": shown += "↵\n"
      case "\t": shown += "\t"
      case _ where scalar.properties.generalCategory == .control:
        shown += "\\x" + String(scalar.value, radix: 16, uppercase: true)
      default: shown.unicodeScalars.append(scalar)
      }
    }
    return shown
  }
}

extension FittedSample.Fate {
  /// Why nothing of a sample is used; nil where something is.
  fileprivate var reason: String? {
    switch self {
    case .kept: nil
    case .tooLong: "longer than the limit"
    case .untrained: "no token would be learnt"
    case .untrainedOnceCut: "cutting takes every token to be learnt"
    }
  }
}

extension [UInt8] {
  /// The bytes as text; those that are no character as `\xNN`.
  fileprivate var visible: String {
    if let text = String(validating: self, as: UTF8.self) { return text }
    let pieces = map { $0 < 0x80 ? String(UnicodeScalar($0)) : "\\x" + String($0, radix: 16, uppercase: true) }
    return pieces.joined()
  }
}
