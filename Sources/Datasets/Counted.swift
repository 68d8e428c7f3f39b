/// A number with its noun, as people read it: “1 row”, “2 rows”.
package func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
