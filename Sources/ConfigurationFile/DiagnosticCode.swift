// SPDX-License-Identifier: Apache-2.0

extension Diagnostic {
  /// What kind of mistake it is. The raw values are stable: scripts may rely on them.
  public enum Code: String, Codable, Hashable, Sendable, CaseIterable {
    // The file and its text.
    case unreadableFile = "unreadable-file"
    case tooLarge = "too-large"
    case notUTF8 = "not-utf8"
    case controlCharacter = "control-character"

    // YAML.
    case syntax
    case tab
    case tooDeep = "too-deep"
    case tag
    case complexKey = "complex-key"
    case duplicateKey = "duplicate-key"
    case unknownAlias = "unknown-alias"
    case aliasExpansion = "alias-expansion"

    // The schema.
    case unknownKey = "unknown-key"
    case notInDropIn = "not-in-drop-in"
    case missingKey = "missing-key"
    case missingValue = "missing-value"
    case keyOfOtherType = "key-of-other-type"
    case conflictingKeys = "conflicting-keys"
    case wrongType = "wrong-type"
    case emptyList = "empty-list"
    case unsupportedVersion = "unsupported-version"

    // Single values.
    case invalidValue = "invalid-value"
    case invalidNumber = "invalid-number"
    case outOfRange = "out-of-range"
    case invalidDuration = "invalid-duration"
    case invalidName = "invalid-name"
    case invalidAddress = "invalid-address"
    case notUnicast = "not-unicast"
    case invalidPrefix = "invalid-prefix"
    case wrongFamily = "wrong-family"
    case invalidPort = "invalid-port"
    case invalidHost = "invalid-host"
    case invalidHex = "invalid-hex"
    case invalidPath = "invalid-path"
    case notPrime = "not-prime"
    case seedTooShort = "seed-too-short"
    case maskedSeed = "masked-seed"
    case exampleSeed = "example-seed"
    case seedFile = "seed-file"
    case seedFilePermissions = "seed-file-permissions"
    case listenNotLoopback = "listen-not-loopback"

    // What must fit together.
    case tooManyInterfaces = "too-many-interfaces"
    case sameSocket = "same-socket"
    case duplicateName = "duplicate-name"
    case duplicateAddress = "duplicate-address"
    case duplicatePort = "duplicate-port"
    case duplicateService = "duplicate-service"
    case unknownPool = "unknown-pool"
    case backendIsVIP = "backend-is-vip"
    case sourceOverlap = "source-overlap"
    case limitExceeded = "limit-exceeded"
    case tableTooSmall = "table-too-small"
    case smallTable = "small-table"
    case emptyPool = "empty-pool"
    case noReadyBackend = "no-ready-backend"
    case unusedPool = "unused-pool"
    case longerThanSettle = "longer-than-settle"
    case longerThanTimeout = "longer-than-timeout"
    case requireUnmet = "require-unmet"
    case longerThanInterval = "longer-than-interval"
    case longerThanLimit = "longer-than-limit"
    case unknownVIP = "unknown-vip"
    case missingPort = "missing-port"
    case notInThisBuild = "not-in-this-build"
    case nobodyToCheck = "nobody-to-check"
    case nothingChecked = "nothing-checked"
    case unreadableAuthorities = "unreadable-authorities"
  }
}
