// SPDX-License-Identifier: Apache-2.0
// Yams builds libyaml but offers no product of it. Its composed tree takes 500 bytes a value and its search for equal
// keys stops at the first pair, so this file reads libyaml's events instead.
internal import CYaml

/// A position as libyaml reports it. Both count from 1; columns count Unicode scalars.
struct Mark: Equatable {
  var line: Int
  var column: Int

  init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  fileprivate init(_ mark: yaml_mark_t) {
    line = Int(mark.line) + 1
    column = Int(mark.column) + 1
  }
}

/// One event of a YAML stream.
struct YAMLEvent {
  enum Kind {
    case other
    case streamEnd
    case documentEnd
    /// The name of an anchor.
    case alias(String)
    /// - Parameter isPlain: written without quotes.
    case scalar(String, isPlain: Bool)
    case sequenceStart
    case mappingStart
    /// Of a sequence or a mapping.
    case collectionEnd
  }

  let kind: Kind
  let anchor: String?
  let hasTag: Bool
  /// Includes the anchor and the tag.
  let start: Mark
  let end: Mark
}

/// Why libyaml cannot read on.
struct YAMLError: Error {
  let problem: String
  let mark: Mark
  let context: (text: String, mark: Mark)?
}

/// libyaml's parser, one event at a time.
@safe struct YAMLParser: ~Copyable {
  private var parser: UnsafeMutablePointer<yaml_parser_t>

  /// - Parameter text: UTF-8; must stay in place as long as the parser lives.
  init(_ text: UnsafeBufferPointer<UInt8>) {
    unsafe parser = .allocate(capacity: 1)
    unsafe parser.initialize(to: yaml_parser_t())
    precondition(unsafe yaml_parser_initialize(parser) == 1, "out of memory")
    unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    unsafe yaml_parser_set_input_string(parser, text.baseAddress, text.count)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
  }

  mutating func next() throws(YAMLError) -> YAMLEvent {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw failure }
    defer { unsafe yaml_event_delete(&event) }
    return unsafe YAMLEvent(event)
  }

  private var failure: YAMLError {
    let found = unsafe parser.pointee
    let context = unsafe found.context.map { (unsafe String(cString: $0), unsafe Mark(found.context_mark)) }
    return YAMLError(
      problem: unsafe found.problem.map { unsafe String(cString: $0) } ?? "out of memory",
      mark: unsafe Mark(found.problem_mark), context: context)
  }
}

extension YAMLEvent {
  fileprivate init(_ event: yaml_event_t) {
    var anchor: String?
    var hasTag = false
    switch unsafe event.type {
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      let octets = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
      kind = .scalar(unsafe String(decoding: octets, as: UTF8.self), isPlain: isPlain)
      anchor = unsafe text(scalar.anchor)
      hasTag = unsafe scalar.tag != nil
    case YAML_ALIAS_EVENT: kind = .alias(unsafe text(event.data.alias.anchor) ?? "")
    case YAML_SEQUENCE_START_EVENT:
      kind = .sequenceStart
      anchor = unsafe text(event.data.sequence_start.anchor)
      hasTag = unsafe event.data.sequence_start.tag != nil
    case YAML_MAPPING_START_EVENT:
      kind = .mappingStart
      anchor = unsafe text(event.data.mapping_start.anchor)
      hasTag = unsafe event.data.mapping_start.tag != nil
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: kind = .collectionEnd
    case YAML_STREAM_END_EVENT: kind = .streamEnd
    case YAML_DOCUMENT_END_EVENT: kind = .documentEnd
    default: kind = .other
    }
    self.anchor = anchor
    self.hasTag = hasTag
    start = unsafe Mark(event.start_mark)
    end = unsafe Mark(event.end_mark)
  }
}

private func text(_ characters: UnsafeMutablePointer<UInt8>?) -> String? {
  unsafe characters.map { unsafe String(cString: $0) }
}
