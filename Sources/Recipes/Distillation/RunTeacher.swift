import Checkpoints
import Datasets
import Foundation
import NN
import Objectives
import Text

/// The teacher of a run that distils.
struct RunTeacher {
  let recipe: TeacherRecipe
  /// What the student is loaded as.
  let options: ModelOptions
  let store: ModelStore

  /// Looks for the model, the adapters and the file, and reads nothing large.
  ///
  /// - Throws: ``RecipeError`` that names the key.
  func check() throws {
    if let model = recipe.model {
      do { _ = try store.resolve(model) } catch let error as RecipeError { throw RecipeError("objective.teacher: \(error)") }
    }
    for folder in recipe.adapters { _ = try ModelWeights.adapterFolder(folder) }
    if let file = recipe.file, !FileManager.default.fileExists(atPath: file) {
      throw RecipeError("objective.teacher_file: there is no file “\(file)” in \(FileManager.default.currentDirectoryPath)")
    }
  }

  /// The teacher, once it is sure that it speaks the student's tokens and has room for the data.
  ///
  /// - Throws: ``RecipeError`` where it does not fit; what reading it throws.
  func load(for student: LoadedModel, data: RunData, settings: DistillationSettings) throws -> any Teacher {
    if let file = recipe.file {
      let captured = try TeacherFile(URL(filePath: file))
      try captured.check(tokenizer: student.text.tokenizer, temperature: settings.temperature)
      if let model = recipe.model { try captured.check(teacher: ModelFiles(store.resolve(model))) }
      for samples in [data.training.samples, data.evaluation?.samples ?? []] { try captured.check(samples) }
      return captured
    }
    guard let name = recipe.model else { throw TeacherMissing() }
    var options = options
    (options.device, options.quantization) = (student.model.device, recipe.quantization)
    // Said before the weights are read, unless an adapter may add tokens.
    if recipe.adapters.isEmpty { try student.text.refuseOtherTokens(than: TextSide(store.resolve(name)), of: name) }
    let teacher = try LoadedModel(name, options: options, store: store)
    try teacher.load(adapters: recipe.adapters)
    if !recipe.adapters.isEmpty { try student.text.refuseOtherTokens(than: teacher.text, of: name) }
    let samples = data.training.samples + (data.evaluation?.samples ?? [])
    if let longest = samples.max(by: { $0.ids.count < $1.ids.count }), longest.ids.count > teacher.model.tokenLimit {
      throw RecipeError(
        "\(longest.location): has \(longest.ids.count) tokens, and the teacher \(name) has room for "
          + "\(teacher.model.tokenLimit); lower data.max_length")
    }
    return LiveTeacher(teacher.model)
  }
}

extension TextSide {
  /// Refuses a model whose ids stand for other tokens.
  ///
  /// - Throws: ``RecipeError`` with the first id that differs.
  func refuseOtherTokens(than other: TextSide, of name: String) throws(RecipeError) {
    let (own, theirs) = (tokenizer, other.tokenizer)
    let cure = "logits are compared token by token, which takes models of one vocabulary"
    guard own.vocabularySize == theirs.vocabularySize else {
      throw RecipeError(
        "\(path) has \(own.vocabularySize) tokens and \(name) has \(theirs.vocabularySize); \(cure)")
    }
    for id in 0..<Int32(own.vocabularySize) where own.token(of: id) != theirs.token(of: id) {
      throw RecipeError(
        "the token \(id) is “\(own.token(of: id) ?? "")” in \(path) and “\(theirs.token(of: id) ?? "")” in \(name); \(cure)")
    }
  }
}
