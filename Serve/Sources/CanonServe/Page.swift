import Charts

extension Service {
  /// The page: an image is dropped, and turned with a slider; what the model says of it follows.
  var page: String {
    """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>canon: \(escaped(name))</title>
    <style>\(Chart.Theme.style)\(Service.style)</style></head>
    <body><main>
    <header><h1>canon</h1><p>\(escaped(name))</p></header>
    <p>The model finds how a picture lies, its <em>pose</em>, and turns it back, to its <em>canonical</em> form. Turn the picture with the
    slider: the pose follows, and the form stays. The <em>margin</em> says how far that pose is ahead of the next best.</p>
    <label id="drop" tabindex="0"><input id="file" type="file" accept="image/*">
    <span id="hint">Drop an image here, paste one, or click to choose one</span></label>
    <p id="error" role="alert" hidden></p>
    <progress id="busy" hidden>The model is being asked.</progress>
    <div id="controls" hidden>
    <label for="angle">Turned by <output id="degrees">0°</output></label>
    <input id="angle" type="range" min="-180" max="180" step="1" value="0">
    </div>
    <section id="pictures" hidden>
    <figure><img id="shown" alt="The image as it is turned"><figcaption>as it comes</figcaption></figure>
    <figure><img id="form" alt="The image in canonical pose"><figcaption>in canonical pose
    <button id="save" type="button">Save this picture</button></figcaption></figure>
    <figure><img id="restored" alt="The canonical image turned back"><figcaption>brought back</figcaption></figure>
    <figure id="made" hidden><img id="output" alt="The model's output"><figcaption>the model's output</figcaption></figure>
    </section>
    <section id="answer" hidden>
    <dl>
    <dt>pose</dt><dd id="pose"></dd><dt>margin</dt><dd id="margin" data-least="\(minMargin.map { "\(($0 * 100).rounded() / 100)" } ?? "")"></dd><dt>as good</dt><dd id="ties"></dd>
    </dl>
    <table id="classes"><caption>classes</caption><tbody></tbody></table>
    </section>
    <footer>JSON: <code>POST /predict</code>, <code>POST /canonicalize</code>, <a href="/openapi.json">openapi.json</a></footer>
    </main><script>\(Service.script)</script></body></html>
    """
  }

  private static let style = """
    * { box-sizing: border-box; } [hidden] { display: none !important; }
    body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 1080px; margin: 0 auto; padding: 1rem; }
    header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; }
    h1 { margin: 0; font-size: 1.4rem; } header p { margin: 0; overflow-wrap: anywhere; }
    #drop { display: block; padding: 1.5rem; margin: 1rem 0; text-align: center; border: 2px dashed var(--c4);
      border-radius: 8px; background: var(--soft); cursor: pointer; }
    #drop.over { border-style: solid; } #drop:focus-within { outline: 2px solid var(--c4); }
    #file { position: absolute; opacity: 0; width: 1px; height: 1px; }
    #error { color: var(--c2); font-weight: 600; }
    #controls { display: grid; gap: .25rem; } #angle { width: 100%; accent-color: var(--c4); }
    #pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1rem; margin: 1rem 0; }
    figure { margin: 0; text-align: center; min-width: 0; }
    img { width: 100%; height: 260px; object-fit: contain; background: var(--soft); border-radius: 8px; image-rendering: auto; }
    img.small { image-rendering: pixelated; }
    figcaption { font-size: .9rem; opacity: .8; }
    progress { display: block; width: 100%; height: .4rem; accent-color: var(--c4); }
    button { font: inherit; padding: .1rem .6rem; border: 1px solid var(--c4); border-radius: 4px; background: var(--soft);
      color: var(--text); cursor: pointer; }
    #answer { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 1rem; }
    dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; align-content: start; }
    dt { opacity: .8; } dd { margin: 0; font-variant-numeric: tabular-nums; }
    table { width: 100%; border-collapse: collapse; } caption { text-align: left; opacity: .8; }
    td { padding: .1rem .5rem .1rem 0; font-variant-numeric: tabular-nums; } td:nth-child(2) { width: 60%; }
    .bar { height: .8rem; background: var(--c4); border-radius: 3px; min-width: 1px; }
    footer { margin-top: 1.5rem; border-top: 1px solid var(--faint); padding-top: .5rem; font-size: .9rem; } a { color: var(--c4); }
    @media (max-width: 500px) { img { height: 160px; } }
    """

  private static let script = """
    const $ = id => document.getElementById(id);
    let file = null, running = false, again = false;
    function fail(text) { $('error').textContent = text; $('error').hidden = !text; }
    function use(chosen) {
      if (!chosen) return;
      file = chosen; $('hint').textContent = chosen.name || 'the pasted image'; $('angle').value = 0; ask();
    }
    async function ask() {
      $('degrees').textContent = $('angle').value + '°';
      if (!file) return;
      // One at a time; of those asked for meanwhile the last one.
      if (running) { again = true; return; }
      running = true;
      const late = setTimeout(() => { $('busy').hidden = false; }, 300);
      try {
        const reply = await fetch('/view?angle=' + $('angle').value, { method: 'POST', body: file });
        const answer = await reply.json();
        if (reply.ok) { fail(''); show(answer); } else { fail(answer.error); hide(); }
      } catch (error) { fail('The server does not answer: ' + error.message); }
      clearTimeout(late);
      $('busy').hidden = true;
      running = false;
      if (again) { again = false; ask(); }
    }
    // Of the whole file, as it was dropped.
    async function save() {
      $('busy').hidden = false;
      try {
        const reply = await fetch('/canonicalize', { method: 'POST', headers: { Accept: 'image/png' }, body: file });
        if (!reply.ok) throw new Error((await reply.json()).error);
        const link = document.createElement('a');
        link.href = URL.createObjectURL(await reply.blob());
        link.download = (file.name || 'image').replace(/\\.[^.]*$/, '') + '-canonical.png';
        link.click();
        $('save').title = link.download;
        setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      } catch (error) { fail('It cannot be saved: ' + error.message); }
      $('busy').hidden = true;
    }
    const parts = ['controls', 'pictures', 'answer'];
    function hide() { for (const id of parts) $(id).hidden = true; }
    function show(answer) {
      for (const id of parts) $(id).hidden = false;
      for (const id of ['shown', 'form', 'restored', 'output']) {
        const address = answer.pictures[id];
        if (!address) continue;
        if (id === 'output') $('made').hidden = false;
        $(id).onload = event => event.target.classList.toggle('small', event.target.naturalWidth < 100);
        $(id).src = address;
      }
      const pose = answer.pose;
      $('pose').textContent = pose.degrees.toFixed(1) + '°' + (pose.isReflected ? ', mirrored' : '')
        + (pose.isUnsure ? ' (unsure: canon leaves such an image alone)' : '');
      const least = $('margin').dataset.least;
      $('margin').textContent = (pose.margin === undefined ? 'no other pose comes near' : pose.margin.toPrecision(4))
        + (least ? ' (canon turns from ' + least + ' on)' : '');
      $('ties').textContent = pose.ties.length ? pose.ties.map(t => t.toFixed(1) + '°').join(', ') : 'no other pose';
      const rows = Object.entries(answer.probabilities || {}).sort((a, b) => b[1] - a[1]).slice(0, 10);
      $('classes').hidden = !rows.length;
      const body = $('classes').tBodies[0];
      body.replaceChildren(...rows.map(([name, value]) => {
        const row = document.createElement('tr'), bar = document.createElement('div');
        bar.className = 'bar'; bar.style.width = (100 * value) + '%';
        for (const cell of [name, bar, (100 * value).toFixed(1) + ' %']) row.insertCell().append(cell);
        return row;
      }));
    }
    $('file').addEventListener('change', event => use(event.target.files[0]));
    $('angle').addEventListener('input', ask);
    $('save').addEventListener('click', save);
    addEventListener('paste', event => use(event.clipboardData.files[0]));
    for (const name of ['dragover', 'dragleave', 'drop']) addEventListener(name, event => {
      event.preventDefault();
      $('drop').classList.toggle('over', name === 'dragover');
      if (name === 'drop') use(event.dataTransfer.files[0]);
    });
    """
}
