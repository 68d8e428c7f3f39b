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
    #"\x{41}-\x{5A}\x{61}-\x{7A}\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}"#
    + #"\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}"#
    + #"\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}"#
    + #"\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}"#
    + #"\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}"#
    + #"\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}"#
    + #"\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}"#
    + #"\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}"#
    + #"\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}-\x{2184}\x{2C00}-\x{2C7B}"#
    + #"\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}"#
    + #"\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}"#
    + #"\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}"#
    + #"\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}"#

  private static let families: [Family] = [
    Family(
      names: [
        "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "gigachat", "mellum", "modern-bert",
      ],
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
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"##
          + spaces,
      ]),
    Family(names: ["falcon"], expressions: [#"[\p{P}\$\+<=>\^~\|`]+"#, gpt2, "[0-9][0-9][0-9]"]),
    Family(names: ["default"], expressions: [#"[\p{P}\$\+<=>\^~\|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]),
  ]
}
