// swift-tools-version: 6.2
import PackageDescription

// NIO's C modules include libc's headers, and which module then owns struct stat or sockaddr_un depends on the order of
// the build: a target that uses both cannot name the module a member comes from.
let strictBesideNIO: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]
let strict = strictBesideNIO + [.enableUpcomingFeature("MemberImportVisibility")]

let package = Package(
  name: "sluice",
  products: [
    .executable(name: "sluiced", targets: ["sluiced"]),
    .executable(name: "sluice", targets: ["sluice"]),
    .executable(name: "sluice-backend", targets: ["sluice-backend"]),
    .executable(name: "sluice-bench", targets: ["sluice-bench"]),
  ],
  traits: [
    .trait(
      name: "TLS",
      description: "https health checks, which need BoringSSL: a third of the first build's time."),
    .default(enabledTraits: ["TLS"]),
  ],
  dependencies: [
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // The kernel's side: headers of C libraries, the ABI, and the compiler of bpf/*.bpf.c.
    .systemLibrary(name: "CLibBPF", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
    .systemLibrary(name: "CNetlink"),
    .systemLibrary(name: "CErrorNames"),
    .systemLibrary(name: "CCapabilities"),
    .target(name: "CProbing"),
    .target(name: "CForwardingABI", path: "bpf/abi"),
    .plugin(name: "CompileBPF", capability: .buildTool()),

    // Values without a load-balancer word.
    .target(name: "Addresses", swiftSettings: strict),

    // Thin layers over the kernel. No load-balancer word in them.
    .target(name: "SystemError", dependencies: ["CErrorNames"], swiftSettings: strict),
    .target(name: "BPF", dependencies: ["CLibBPF", "SystemError"], swiftSettings: strict),
    .target(name: "Netlink", dependencies: ["Addresses", "CNetlink", "SystemError"], swiftSettings: strict),

    // Values and decisions. No I/O.
    .target(name: "LoadBalancing", dependencies: ["Addresses"], swiftSettings: strict),
    .target(
      name: "ConfigurationFile",
      // Yams builds libyaml as its target CYaml, which has no product.
      dependencies: ["LoadBalancing", "SystemError", .product(name: "Yams", package: "Yams")],
      swiftSettings: strict),
    .target(name: "ControlAPI", swiftSettings: strict),

    // Values into maps, and back.
    .target(
      name: "Dataplane",
      dependencies: ["BPF", "CForwardingABI", "LoadBalancing", "SystemError"],
      swiftSettings: strict, plugins: ["CompileBPF"]),

    // One probe, one outcome.
    .target(
      name: "Probing",
      dependencies: [
        "CProbing", "ControlAPI", "LoadBalancing",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["TLS"])),
      ], swiftSettings: strictBesideNIO),

    // Services, sockets, time.
    .target(
      name: "Control",
      dependencies: [
        "CCapabilities", "ConfigurationFile", "ControlAPI", "Dataplane", "LoadBalancing", "Netlink",
        "Probing",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ], swiftSettings: strictBesideNIO),

    .executableTarget(
      name: "sluiced",
      dependencies: [
        "Control", "ControlAPI", .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),
    .executableTarget(
      name: "sluice",
      dependencies: [
        "ConfigurationFile", "ControlAPI", "LoadBalancing",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ], swiftSettings: strictBesideNIO),
    .executableTarget(
      name: "sluice-backend",
      dependencies: [
        "BPF", "CForwardingABI", "ControlAPI", "LoadBalancing", "Netlink", "SystemError",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict, plugins: ["CompileBPF"]),
    .executableTarget(
      name: "sluice-bench",
      dependencies: [
        "BPF", "CForwardingABI", "Dataplane", "LoadBalancing",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict, plugins: ["CompileBPF"]),

    // Optimized always: it simulates millions of packets.
    .target(
      name: "ForwardingModel", dependencies: ["LoadBalancing"], path: "Tests/ForwardingModel",
      swiftSettings: strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
    .target(
      name: "TestSupport", dependencies: ["CForwardingABI", "Dataplane", "LoadBalancing"],
      path: "Tests/TestSupport"),
    .testTarget(name: "AddressesTests", dependencies: ["Addresses"]),
    .testTarget(name: "BPFTests", dependencies: ["BPF"], plugins: ["CompileBPF"]),
    .testTarget(name: "NetlinkTests", dependencies: ["Netlink"]),
    .testTarget(name: "LoadBalancingTests", dependencies: ["LoadBalancing"]),
    .testTarget(
      name: "ConfigurationFileTests", dependencies: ["ConfigurationFile", "LoadBalancing"], exclude: ["bad"]),
    .testTarget(
      name: "DataplaneTests",
      dependencies: ["Dataplane", "BPF", "CForwardingABI", "ForwardingModel", "LoadBalancing", "TestSupport"]),
    .testTarget(
      name: "DecapsulationTests", dependencies: ["BPF", "CForwardingABI", "LoadBalancing", "TestSupport"],
      plugins: ["CompileBPF"]),
    .testTarget(
      name: "ProbingTests",
      dependencies: [
        "Probing", "LoadBalancing", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["TLS"])),
      ]),
    .testTarget(name: "CommandLineTests", dependencies: ["sluice", "ControlAPI"]),
    .testTarget(
      name: "ControlTests",
      dependencies: [
        "Control", "ControlAPI", "ConfigurationFile", "Dataplane", "LoadBalancing", "Netlink", "Probing",
        "TestSupport",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
