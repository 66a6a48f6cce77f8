import CanonCommands

Canon.main(adding: [])
