import ArgumentParser
struct Restore: ParsableCommand { func run() throws {} }
