// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import LoadBalancing
internal import NIOCore

extension Request {
  /// Octets that a body with a configuration may have.
  static let textLimit = 1 << 20
  /// Octets that a body with a JSON object may have: several times the length of the longest reason.
  static let objectLimit = 16 << 10

  /// The whole body.
  /// - Parameter limit: octets that it may have.
  func octets(limit: Int) async throws -> [UInt8] {
    do {
      return Array(buffer: try await body.collect(upTo: limit))
    } catch is NIOTooManyBytesError {
      throw ControlError(.contentTooLarge, "too-large", "the body has more than \(limit) bytes")
    }
  }

  /// The body as text; nil where there is none.
  func text() async throws -> String? {
    let octets = try await octets(limit: Self.textLimit)
    guard !octets.isEmpty else { return nil }
    guard let text = String(validating: octets, as: UTF8.self) else {
      throw ControlError.invalid("the body is not UTF-8 text")
    }
    return text
  }

  /// The body as a JSON object that has no other fields than `allowed`. No body is an empty object.
  func decode<Value: Decodable>(_ type: Value.Type, allowed: [String]) async throws -> Value {
    let octets = try await octets(limit: Self.objectLimit)
    return try StrictObject.decode(type, from: octets.isEmpty ? Array("{}".utf8) : octets, allowed: allowed)
  }

  /// Throws if there is a body.
  func expectNoBody() async throws {
    guard try await octets(limit: Self.objectLimit).isEmpty else {
      throw ControlError.invalid("this request takes no body")
    }
  }
}

/// JSON objects of requests, read strictly: unknown content is refused, not ignored.
enum StrictObject {
  static func decode<Value: Decodable>(
    _ type: Value.Type, from octets: [UInt8], allowed: [String]
  ) throws(ControlError) -> Value {
    // JSONSerialization also takes UTF-16 and UTF-32, where octets are not what they seem; NUL gives both away.
    guard !octets.contains(0), String(validating: octets, as: UTF8.self) != nil,
      let object = try? JSONSerialization.jsonObject(with: Data(octets)) as? [String: Any]
    else {
      throw ControlError.invalid("the body is not a JSON object")
    }
    if let unknown = object.keys.sorted().first(where: { !allowed.contains($0) }) {
      throw ControlError.unknownKey("field", unknown, among: allowed)
    }
    guard keyCount(octets) == object.count else {
      throw ControlError.invalid("a field is given twice")
    }
    for (key, value) in object {
      if let text = value as? String, let fault = plainTextFault(text) {
        throw ControlError.invalid("\(key) \(fault)")
      }
    }
    do {
      return try ControlJSON.decode(type, from: octets)
    } catch let error as DecodingError {
      throw ControlError.invalid(describe(error))
    } catch {
      throw ControlError.invalid("the body does not fit")
    }
  }

  /// The number of keys of the outermost object, with duplicates.
  /// - Parameter octets: valid JSON, an object.
  private static func keyCount(_ octets: [UInt8]) -> Int {
    var colons = 0
    var depth = 0
    var isInString = false
    var isEscaped = false
    for octet in octets {
      if isInString {
        if isEscaped {
          isEscaped = false
        } else if octet == UInt8(ascii: "\\") {
          isEscaped = true
        } else if octet == UInt8(ascii: "\"") {
          isInString = false
        }
        continue
      }
      switch octet {
      case UInt8(ascii: "\""): isInString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: ":") where depth == 1: colons += 1
      default: break
      }
    }
    return colons
  }

  private static func describe(_ error: DecodingError) -> String {
    func name(_ context: DecodingError.Context) -> String {
      context.codingPath.last.map { "\"\($0.stringValue)\"" } ?? "the body"
    }
    switch error {
    case .keyNotFound(let key, _): return "field \"\(key.stringValue)\" is missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      return "\(name(context)) is not \(type == String.self ? "text" : "a whole number")"
    case .dataCorrupted: return "a number is not whole, or too large"
    @unknown default: return "the body does not fit"
    }
  }
}
