// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

extension ConfigurationReference {
  /// sluice.yaml(5), in roff.
  public static var manualPage: String {
    var lines = [
      #".\" Generated from the key table of Sources/ConfigurationFile: see docs/testing.md."#,
      #".TH SLUICE.YAML 5 "" "Sluice" "File formats""#, ".SH NAME",
      #"sluice.yaml \- configuration of the Sluice load balancer"#, ".SH SYNOPSIS",
      "/etc/sluice/sluice.yaml", ".br", "/etc/sluice/conf.d/*.yaml", ".SH DESCRIPTION",
      "sluiced reads the main file and then, in the order of their names, the drop-in files beside it.",
      "A drop-in file may hold", ".B pools", "and", ".B services", "only.",
      "Files are YAML or JSON, UTF-8, at most 1 MiB each.", ".PP",
      "An unknown key is an error.", "All mistakes of all files are reported in one run.",
      "A configuration with an error changes nothing.", ".PP",
      "Durations are a whole number and a unit: 500ms, 2s, 10m, 2h.",
      #"Names have 1 to 63 characters of a\-z 0\-9 \- . _; the first is a letter or a digit."#, ".PP",
      "Each key takes effect with", ".I sluice config reload",
      "(reload) or when the daemon starts (restart).",
      "A key that is missing has its default.",
    ]
    for part in parts {
      lines.append(".SH " + heading(part))
      for key in part.keys {
        for (name, key) in listed(key, in: part) {
          lines += [".TP", ".B " + roff(name)]
          lines += PlainMarkdown.text(key.meaning).split(separator: ". ", omittingEmptySubsequences: true).map
          {
            roff($0.hasSuffix(".") ? String($0) : $0 + ".")
          }
          lines += [".br", roff(facts(of: key, effect: effect(of: name, in: part)))]
        }
      }
    }
    lines += [
      ".SH FILES", "/etc/sluice/sluice.yaml, /etc/sluice/conf.d/*.yaml", ".SH SEE ALSO",
      ".BR sluice (1),", ".BR sluiced (8)",
    ]
    return lines.joined(separator: "\n") + "\n"
  }

  private static func heading(_ part: Part) -> String {
    switch part.name {
    case "main": "KEYS OF THE MAIN FILE"
    case "checks-by-type": "KEYS OF CHECKS BY TYPE"
    default: roff(part.path)
    }
  }

  private static func facts(of key: ConfigurationKey, effect: String) -> String {
    let types = key.checkTypes.map(\.rawValue).joined(separator: ", ")
    return (types.isEmpty ? "" : "Of type \(types). ")
      + "Value: \(PlainMarkdown.text(key.type.valueText)). "
      + "Default: \(PlainMarkdown.text(key.fallback.text)). Effect: \(effect). Since \(key.since)."
  }

  /// A line whose characters roff does not interpret.
  private static func roff(_ text: String) -> String {
    let escaped = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
    return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
  }
}

enum PlainMarkdown {
  /// Markdown of the key table without its marks: code is as it is, and links are their texts.
  static func text(_ markdown: String) -> String {
    markdown.replacing("`", with: "").replacing(/\[([^\]]*)\]\([^)]*\)/) { String($0.1) }
  }
}
