import ArgumentParser
struct Canonicalize: ParsableCommand { func run() throws {} }
