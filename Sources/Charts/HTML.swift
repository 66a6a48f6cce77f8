/// A page that needs nothing else: light or dark as its reader's, narrow or wide.
public func htmlPage(title: String, _ body: String) -> String {
  """
  <!doctype html>
  <html lang="en">
  <head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>\(escaped(title))</title>
  <style>\(style)</style>
  </head>
  <body>
  <main>
  \(body)
  </main>
  </body>
  </html>

  """
}

private let style = """
  \(Chart.Theme.style)
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--ground); color: var(--text);
    font: 16px/1.5 system-ui, "DejaVu Sans", Helvetica, Arial, sans-serif; }
  main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
  h1 { font-size: 1.7rem; line-height: 1.2; overflow-wrap: anywhere; } h2 { margin-top: 2.5rem; font-size: 1.25rem; }
  .note { color: var(--text); opacity: .75; font-size: .9rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-size: .87rem; width: 100%; }
  th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--faint); text-align: left; }
  td:first-child, .number { white-space: nowrap; } @media (max-width: 40rem) { td, th { padding: .25rem .35rem; font-size: .8rem; } }
  details { font-size: .9rem; } dt { font-weight: 600; float: left; clear: left; margin-right: .6rem; } dd { margin: 0 0 .3rem 0; }
  dd::after { content: ""; display: block; clear: left; }
  thead th { border-bottom-width: 2px; }
  .number { text-align: right; font-variant-numeric: tabular-nums; }
  .best td { background: var(--soft); font-weight: 600; }
  td.learned { color: var(--c4); font-weight: 600; } td.heuristic { color: var(--c2); font-weight: 600; }
  figure { margin: 1rem 0; overflow-x: auto; } figure svg { display: block; width: 100%; min-width: 34rem; max-width: 50rem; height: auto; }
  figcaption { margin-bottom: .4rem; } img { max-width: 100%; image-rendering: pixelated; }
  table.matrix { width: auto; } table.matrix td, table.matrix th { text-align: right; padding: .2rem .45rem; border: 1px solid var(--faint); }
  .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .8rem; }
  .card { border: 1px solid var(--faint); border-radius: .4rem; padding: .5rem; font-size: .8rem; overflow-wrap: anywhere; }
  .card div { display: flex; gap: .3rem; } .card img { width: calc(50% - .15rem); background: var(--soft); }
  @media print { :root { color-scheme: light; } body { font-size: 11pt; } main { max-width: none; padding: 0; }
    figure, .card, tr, h2 { break-inside: avoid; } h2 { break-after: avoid; } }
  """
