// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// The configuration's keys for editors and programs: a JSON Schema (2020-12), derived from the key table. It knows
/// single values; only ``ConfigurationLoader`` finds parts that do not fit together.
public let configurationSchema: String = {
  var root: [(String, JSONText)] = [
    ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
    ("title", .string("Sluice configuration")),
  ]
  root += members(of: KeyTable.main)
  let seeds = [KeyTable.hashSeed, KeyTable.hashSeedFile]
  root.append(
    ("oneOf", .array(seeds.map { .object([("required", .array([.string($0.name)]))]) })))
  root.append(("$defs", .object(definitions())))
  return JSONText.object(root).rendered()
}()

/// Members of the schema of a section.
private func members(of section: KeySection) -> [(String, JSONText)] {
  let required = section.keys.filter { key in if case .required = key.fallback { true } else { false } }
  var members: [(String, JSONText)] = [
    ("type", types("object", section)), ("additionalProperties", .boolean(false)),
  ]
  if !required.isEmpty { members.append(("required", .array(required.map { .string($0.name) }))) }
  members.append(("properties", .object(section.keys.map { ($0.name, property($0)) })))
  return members
}

/// A section whose keys are all optional may be left empty.
private func types(_ type: String, _ section: KeySection) -> JSONText {
  section.noun == "pool" || section.noun == "check"
    ? .array([.string(type), .string("null")]) : .string(type)
}

private func property(_ key: ConfigurationKey) -> JSONText {
  key.isShared ? reference(key.name) : described(key)
}

private func reference(_ name: String) -> JSONText { .object([("$ref", .string("#/$defs/\(name)"))]) }

private func described(_ key: ConfigurationKey) -> JSONText {
  var members = schema(of: key.type)
  if case .value(let text) = key.fallback { members.append(("default", literal(text, key.type))) }
  members.append(("description", .string(description(of: key))))
  return .object(members)
}

private func description(of key: ConfigurationKey) -> String {
  var parts: [String] = []
  if !key.checkTypes.isEmpty { parts.append(key.checkTypes.map(\.rawValue).joined(separator: ", ") + ":") }
  parts.append(PlainMarkdown.text(key.meaning))
  if let range = key.type.range { parts.append("Range: \(PlainMarkdown.text(range)).") }
  if case .described(let text) = key.fallback { parts.append("Default: \(PlainMarkdown.text(text)).") }
  return parts.joined(separator: " ")
}

private func literal(_ text: String, _ type: ValueType) -> JSONText {
  switch type {
  case .integer, .prime, .requirement: Int(text).map(JSONText.number) ?? .string(text)
  case .boolean: .boolean(text == "true")
  default: .string(text)
  }
}

private func schema(of type: ValueType) -> [(String, JSONText)] {
  switch type {
  case .section(let section): return members(of: section)
  case .named(let section):
    return [
      ("type", .array([.string("object"), .string("null")])), ("propertyNames", reference("name")),
      ("additionalProperties", reference(section.definition ?? section.noun)),
    ]
  case .list(let item, let minimum):
    var list: [(String, JSONText)] = [
      ("type", minimum == 0 ? .array([.string("array"), .string("null")]) : .string("array"))
    ]
    if minimum > 0 { list.append(("minItems", .number(minimum))) }
    if let definition = item.section?.definition {
      list.append(("items", reference(definition)))
    } else {
      list.append(("items", .object(schema(of: item))))
    }
    return list
  case .integer(let range), .prime(let range):
    return [
      ("type", .string("integer")), ("minimum", .number(range.lowerBound)),
      ("maximum", .number(range.upperBound)),
    ]
  case .requirement(let range):
    let pattern = "^([0-9]{1,5}|[0-9]{1,2}%|100%)$"
    return [
      (
        "anyOf",
        .array([
          .object([
            ("type", .string("integer")), ("minimum", .number(range.lowerBound)),
            ("maximum", .number(range.upperBound)),
          ]), .object([("type", .string("string")), ("pattern", .string(pattern))]),
        ])
      )
    ]
  case .seconds, .duration: return [("$ref", .string("#/$defs/duration"))]
  case .percent: return [("type", .string("string")), ("pattern", .string("^[0-9]{1,3}%$"))]
  // Numbers and truth values are words here: `1` and `"1"` mean the same.
  case .words(["1"]): return [("enum", .array([.number(1), .string("1")]))]
  case .words(let words): return [("enum", .array(words.map(JSONText.string)))]
  case .boolean: return [("type", .string("boolean"))]
  case .objectName: return [("$ref", .string("#/$defs/name"))]
  case .absolutePath: return [("$ref", .string("#/$defs/path"))]
  case .socket(let maximum):
    return [("$ref", .string("#/$defs/path")), ("maxLength", .number(maximum))]
  case .address, .prefix: return [("type", .string("string"))]
  case .ports:
    return [
      ("type", .string("string")), ("pattern", .string("^([0-9]+(-[0-9]+)?|any)/(tcp|udp)$")),
    ]
  case .text(let lengths):
    return [
      ("type", .string("string")), ("minLength", .number(lengths.lowerBound)),
      ("maxLength", .number(lengths.upperBound)),
    ]
  case .octets(let counts):
    return [
      ("type", .string("string")), ("pattern", .string("^([0-9A-Fa-f]{2}){1,\(counts.upperBound)}$")),
    ]
  case .expectation:
    let codes = DNSQuestion.ResponseCode.allCases.map { JSONText.string($0.rawValue) }
    return [
      (
        "anyOf",
        .array([
          .object([("enum", .array(codes))]), reference("statuses"),
          .object([
            ("type", .string("array")), ("minItems", .number(1)), ("items", reference("statuses")),
          ]),
        ])
      )
    ]
  case .other(let pattern):
    return [("type", .string("string"))] + (pattern.map { [("pattern", .string($0))] } ?? [])
  }
}

/// What the schema refers to.
private func definitions() -> [(String, JSONText)] {
  func pattern(_ pattern: String) -> JSONText {
    .object([("type", .string("string")), ("pattern", .string(pattern))])
  }
  var definitions: [(String, JSONText)] = [
    ("name", pattern("^[a-z0-9][a-z0-9._-]{0,62}$")), ("path", pattern("^/")),
    ("duration", pattern("^[0-9]+(ms|s|m|h)$")),
    (
      "statuses",
      .object([
        ("type", .array([.string("string"), .string("integer")])),
        ("pattern", .string("^[1-5][0-9]{2}(-[1-5][0-9]{2})?$")),
      ])
    ),
  ]
  definitions += KeyTable.defaults.keys.filter(\.isShared).map { ($0.name, described($0)) }
  for section in [KeyTable.pool, KeyTable.service] {
    definitions.append((section.definition ?? section.noun, .object(members(of: section))))
  }
  return definitions
}
