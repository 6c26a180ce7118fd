@main struct M { static func main() { print(1) } }
