/// How the text of a byte-level model is split, by the name that a GGUF file has for it under `tokenizer.ggml.pre`.
struct GGUFSplitting: Sendable {
  /// Regular expressions: each splits the pieces of the one before it.
  let expressions: [String]
  let steps: [PreTokenizer]
  /// A word that is in the vocabulary is one token, merges or no merges.
  let ignoresMerges: Bool
  /// BOS is put before a text where the file does not say.
  let addsBOS: Bool
  /// Texts are brought into normalization form C first, which GGUF has no key for.
  let normalizes: Bool

  /// - Throws: ``TokenizerError`` for a name that is not known.
  init(named name: String) throws(TokenizerError) {
    guard let family = GGUFSplitting.families.first(where: { $0.names.contains(name) }) else {
      throw GGUFVocabulary.error("pre", "the splitting pattern “\(name)” is not supported")
    }
    var steps: [PreTokenizer] = []
    for expression in family.expressions {
      if let known = WordPattern(expression: expression) {
        steps.append(.split(.words(known), .isolated, isInverted: false))
        continue
      }
      do throws(PatternError) {
        steps.append(.split(.pattern(try ScalarPattern(expression)), .isolated, isInverted: false))
      } catch { throw GGUFVocabulary.error("pre", "the pattern of “\(name)”: \(error.problem)") }
    }
    expressions = family.expressions
    self.steps = steps + [.byteLevel(addsPrefixSpace: false, splitter: nil)]
    ignoresMerges = GGUFSplitting.namesIgnoringMerges.contains(name)
    addsBOS = GGUFSplitting.namesAddingBOS.contains(name)
    normalizes = GGUFSplitting.namesNormalizing.contains(name)
  }

  /// Splits made one within the other.
  private struct Family {
    let names: Set<String>
    let expressions: [String]
  }

  private static let namesIgnoringMerges: Set<String> = [
    "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "tekken",
  ]
  private static let namesAddingBOS = namesIgnoringMerges
  private static let namesNormalizing: Set<String> = ["qwen2", "qwen35"]

  private static let gpt2 = WordPattern.gpt2Expression
  private static let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let capitals = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
  private static let smalls = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
  private static let spaces = #"\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static let ideographs = "[一-龥ࠀ-一가-\u{D7FF}]+"

  /// Letters of the scripts that have two cases, as the pattern of DeepSeek LLM lists them.
  private static let casedLetters =
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼ"
    + "ℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"

  private static let families: [Family] = [
    Family(
      names: ["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "gigachat", "mellum", "modern-bert"],
      expressions: [gpt2]),
    Family(
      names: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
      expressions: [#"\p{N}"#, gpt2]),
    Family(
      names: [
        "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "dbrx", "smaug-bpe", "glm4",
        "chatglm-bpe",
      ], expressions: [WordPattern.cl100kExpression(digits: 3)]),
    Family(
      names: ["qwen2", "deepseek-r1-qwen", "kormo", "stablelm2", "hunyuan", "megrez", "solar-open", "grok-2"],
      expressions: [WordPattern.cl100kExpression(digits: 1)]),
    Family(
      names: ["qwen35"],
      expressions: [
        contraction + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"# + spaces
      ]),
    Family(
      names: ["gpt-4o", "llama4", "kanana2", "minimax-m2"],
      expressions: [
        "\(capitals)*\(smalls)+\(contraction)?|\(capitals)+\(smalls)*\(contraction)?|"
          + #"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + spaces
      ]),
    Family(
      names: ["tekken"],
      expressions: [
        "\(capitals)*\(smalls)+|\(capitals)+\(smalls)*|" + #"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + spaces
      ]),
    Family(
      names: ["deepseek-llm"],
      expressions: [
        #"[\r\n]"#, #"\s?["# + casedLetters + "]+", #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#, #"\s+$"#, ideographs, #"\p{N}+"#,
      ]),
    Family(
      names: ["deepseek-coder"],
      expressions: [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, ideographs, #"\p{N}"#]),
    Family(
      names: ["deepseek-v3", "hunyuan-dense", "joyai-llm"],
      expressions: [
        #"\p{N}{1,3}"#, "[一-龥぀-ゟ゠-ヿ]+",
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"## + spaces,
      ]),
    Family(names: ["falcon"], expressions: [#"[\p{P}\$\+<=>\^~\|`]+"#, gpt2, "[0-9][0-9][0-9]"]),
    Family(names: ["default"], expressions: [#"[\p{P}\$\+<=>\^~\|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]),
  ]
}
