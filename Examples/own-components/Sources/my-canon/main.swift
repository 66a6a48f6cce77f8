// The command `canon` with components of one's own: it trains them from YAML, and predicts, verifies and draws
// what it trained.
import Canon
import CanonCommands

Canon.main(adding: [
  FullestCornerOptions.self, PooledOptions.self, BarsOptions.self, AxisTask.self,
])
