import ArgumentParser
import CanonCommands

Canon.main()
