/// A place in a model for modules that adapters put there: those installed, by name, and which are at work.
public class AdapterPlace<Installed>: Module {
  /// The modules by adapter name, in order of installation.
  @NamedChildren<Installed> public private(set) final var installed: [(name: String, module: Installed)]
  /// The names of those that take part, in order.
  public private(set) final var active: [String] = []
  /// Those that take part, in order.
  private(set) final var activeModules: [Installed] = []

  init(asModule: @escaping (Installed) -> Module) {
    _installed = NamedChildren("adapters", asModule: asModule)
    super.init()
  }

  /// Puts a module beside the others, not at work yet.
  public final func install(_ module: Installed, named name: String) {
    remove(name)
    installed.append((name, module))
  }

  /// Takes a module away.
  public final func remove(_ name: String) {
    activate(name, false)
    installed.removeAll { $0.name == name }
  }

  /// Lets a module take part after those that do already, or no longer.
  public final func activate(_ name: String, _ on: Bool) {
    active.removeAll { $0 == name }
    if on, installed.contains(where: { $0.name == name }) { active.append(name) }
    activeModules = active.compactMap { name in installed.first { $0.name == name }?.module }
  }
}
