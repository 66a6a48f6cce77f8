# The two commands of the README are `make demo` and `make test`.
.PHONY: processes hosts slurm fuzz-guided bench-networks onnx-format onnx-table serve test-serve shards sanitize bench-some-pages page-packages page-generator page-data pages-model bench-pages help install uninstall optimized demo test test-machines test-emulated fuzz kills faults check build format lint docs benchmarks bench bench-full bench-latent bench-latent-full bench-latent-speed bench-packages bench-speed needs-swift packages

MODEL = demo/model.safetensors
RESTORER = demo/restore.safetensors
# Package.swift says which modules are optimized all the same.
QUICK = -Xswiftc -Onone -debug-info-format none
# With Swift's libraries in it: loading them takes half of the time to a first answer.
RELEASE = swift build -c release --product canon --static-swift-stdlib
# Presetting OPENBLAS_CORETYPE can halve the speed of matrix products.
CANON = env -u OPENBLAS_CORETYPE .build/release/canon

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

needs-swift:
	@command -v swift >/dev/null || { echo "Swift 6.3 or later is missing: get it at https://www.swift.org/install/linux/"; exit 1; }

# The development files of OpenBLAS, libpng (with zlib), libjpeg-turbo, libtiff and libwebp, where they are missing.
packages:
	@pkg-config --exists openblas libpng libjpeg libturbojpeg libtiff-4 libwebpmux zlib 2>/dev/null || { \
	  command -v apt-get >/dev/null || { echo "Missing: the development files of OpenBLAS, libpng, libjpeg-turbo with TurboJPEG, libtiff and libwebp; install them with this system's package manager."; exit 1; }; \
	  SUDO=$$( [ "$$(id -u)" = 0 ] || echo sudo ); \
	  $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq pkg-config libopenblas-dev libpng-dev libjpeg-dev libturbojpeg0-dev libtiff-dev libwebp-dev zlib1g-dev; }

build: needs-swift packages ## The command, optimized where it computes: .build/release/canon
	$(RELEASE) $(QUICK)

OPTIMIZED = .build-optimized
# Where `-lstdc++` is looked for first: a script that names the archive in its place, so that C++'s library is linked in as Swift's
# are. Its relocations and names take 2 ms of every start.
LINKED = $(OPTIMIZED)/linked

optimized: needs-swift packages ## The command, optimized throughout, which takes twice as long: .build-optimized/release/canon
	@mkdir -p $(LINKED); rm -f $(LINKED)/libstdc++.so; \
	for compiler in clang cc; do archive=$$($$compiler -print-file-name=libstdc++.a 2>/dev/null) || continue; \
	  case "$$archive" in /*) echo "INPUT($$archive)" > $(LINKED)/libstdc++.so; break;; esac; done
	$(RELEASE) -debug-info-format none --scratch-path $(OPTIMIZED) -Xlinker "-L$(CURDIR)/$(LINKED)"

PREFIX ?= /usr/local
INSTALLED = $(DESTDIR)$(PREFIX)

install: optimized ## The command, completions and manual pages below PREFIX; no Swift is needed to run it
	$(SERVE) --static-swift-stdlib --scratch-path .build-install-serve
	install -D -s $(OPTIMIZED)/release/canon $(INSTALLED)/bin/canon
	install -D -s .build-install-serve/release/canon-serve $(INSTALLED)/bin/canon-serve
	mkdir -p $(INSTALLED)/share/bash-completion/completions $(INSTALLED)/share/zsh/site-functions \
	  $(INSTALLED)/share/fish/vendor_completions.d $(INSTALLED)/share/man/man1 $(INSTALLED)/share/canon/models
	install -m 644 models/*.safetensors $(INSTALLED)/share/canon/models/
	$(INSTALLED)/bin/canon --generate-completion-script bash > $(INSTALLED)/share/bash-completion/completions/canon
	$(INSTALLED)/bin/canon --generate-completion-script zsh > $(INSTALLED)/share/zsh/site-functions/_canon
	$(INSTALLED)/bin/canon --generate-completion-script fish > $(INSTALLED)/share/fish/vendor_completions.d/canon.fish
	swift package plugin generate-manual --multi-page
	install -m 644 .build/plugins/GenerateManual/outputs/canon/*.1 $(INSTALLED)/share/man/man1/

uninstall: ## Removes what install has put below PREFIX
	rm -f $(INSTALLED)/bin/canon $(INSTALLED)/bin/canon-serve $(INSTALLED)/share/bash-completion/completions/canon \
	  $(INSTALLED)/share/zsh/site-functions/_canon $(INSTALLED)/share/fish/vendor_completions.d/canon.fish \
	  $(patsubst models/%,$(INSTALLED)/share/canon/models/%,$(wildcard models/*.safetensors)) \
	  $(INSTALLED)/share/man/man1/canon.1 $(INSTALLED)/share/man/man1/canon.*.1

SERVE = swift build -c release --package-path Serve --product canon-serve $(QUICK)

serve: build ## The program behind `canon serve`, beside the command: .build/release/canon-serve
	$(SERVE) --scratch-path .build-serve
	install -m 755 .build-serve/release/canon-serve .build/release/canon-serve

test-serve: needs-swift packages ## The tests of canon-serve; one drives Chromium, where chromium-driver is installed
	swift test --disable-xctest --package-path Serve --scratch-path .build-serve

demo: build ## The main job on the shipped digits, with the shipped model: a table and a picture
	@rm -rf demo-out
	$(CANON) predict $(MODEL) demo/digits
	$(CANON) canonicalize $(MODEL) demo/digits demo-out/canonical --quiet
	$(CANON) restore demo-out/canonical demo-out/restored --quiet
	$(CANON) inspect $(MODEL) demo/digits --out demo-out/sheet.png
	$(CANON) predict $(RESTORER) demo/noisy --out demo-out/clean
	$(CANON) inspect $(RESTORER) demo/noisy --out demo-out/clean.png --images 4 --poses 4
	@test -s demo-out/sheet.png && test -s demo-out/clean.png && test -d demo-out/restored || { echo "The command did not do what it was asked for."; exit 1; }
	@echo "Look at demo-out/sheet.png and demo-out/clean.png, and into demo-out/canonical and demo-out/restored."

test: needs-swift packages ## All tests, in debug and in release; those that compute on every path of the CPU
	./Tests/run debug
	./Tests/run release

SWIFT = Sources Tests Snippets Package.swift Serve/Sources Serve/Tests Serve/Package.swift Pages/Sources Pages/Package.swift Benchmarks/Sources Benchmarks/Package.swift \
  Examples/own-components/Sources Examples/own-components/Package.swift Fuzz/Sources Fuzz/Package.swift

lint: needs-swift ## Format, strictly
	swift format lint --strict --recursive $(SWIFT)

format: needs-swift
	swift format --in-place --recursive $(SWIFT)

MODULES = TensorCore Settings Charts Disentanglement Images Symmetry Autodiff Layers ONNX MessagePassing Optimizers Datasets Canonicalization Training \
  Canon CanonCommands

docs: needs-swift packages ## One documentation site of all modules, warnings as errors: docs/site
	swift package --allow-writing-to-directory docs/site generate-documentation \
	  $(foreach m,$(MODULES),--target $(m)) --enable-experimental-combined-documentation \
	  --warnings-as-errors --output-path docs/site

INPUTS ?= 100000

fuzz: needs-swift packages ## INPUTS changed files of each kind, fed to the commands: no trap, none over a second
	swift build -c release --package-path Fuzz --scratch-path .build-fuzz
	env -u OPENBLAS_CORETYPE .build-fuzz/release/Fuzz --inputs $(INPUTS)

KINDS = png jpeg tiff webp tar safetensors idx yaml manifest journal checkpoint onnx

fuzz-guided: needs-swift packages ## libFuzzer on what reads each kind of file, INPUTS of each, or for SECONDS
	swift build -c release --package-path Fuzz --scratch-path .build-guided --sanitize fuzzer -Xswiftc -DGUIDED \
	  -Xswiftc -enable-testing
	Tests/guided .build-guided/release/Fuzz $(if $(SECONDS),-max_total_time=$(SECONDS),-runs=$(INPUTS)) $(KINDS)

sanitize: needs-swift packages ## The tests under the address, undefined-behavior and thread sanitizers: an hour
	Tests/sanitize address
	Tests/sanitize thread

kills: build ## Kills folder jobs and training at random moments, and runs them again: the result of an uninterrupted one
	Tests/kills

shards: build ## Kills a job on archives three times: nothing twice, nothing missing, memory flat
	Tests/shards

processes: build ## Trains by one, two and four processes of Open MPI: the same bits, disturbed or not; needs mpirun
	Tests/processes

hosts: build ## Trains on four hosts with 1 Gbit/s and 0.5 ms between them (namespaces of this machine): what the network costs; needs root
	Tests/hosts

slurm: build ## An array and training on a Slurm of this machine; needs slurm-wlm, munge, openmpi-bin, and root
	CANON=$(CURDIR)/.build/release/canon Examples/slurm/check

faults: build ## Lets every call of the commands that concerns a file fail once: nothing half-written, nothing lost
	Tests/faults

test-machines: needs-swift packages ## The release tests on every kernel of OpenBLAS, with 1, 2 and 7 threads, on every path
	Tests/machines

test-emulated: needs-swift packages ## The tests of the kernels on the AVX-512 path, in a machine that Bochs emulates, where this one has none
	Tests/emulated

BENCH = .build-benchmarks/release
PEER ?=
RUNS ?= 30

benchmarks: build
	swift build -c release --package-path Benchmarks --scratch-path .build-benchmarks

bench-speed: benchmarks optimized ## Every speed beside the machine's roof; PEER=python (with equiadapt) times it too, in turn
	env -u OPENBLAS_CORETYPE $(BENCH)/SpeedBenchmark Benchmarks/Data --canon $(OPTIMIZED)/release/canon \
	  --runs $(RUNS) --out Benchmarks/Results $(if $(PEER),--peer $(PEER))

bench-networks: benchmarks ## Networks of NETWORKS=folder of .onnx files; PEER=python (with onnxruntime) times it too, in turn
	env -u OPENBLAS_CORETYPE $(BENCH)/SpeedBenchmark Benchmarks/Data --networks $(NETWORKS) \
	  --runs $(RUNS) --out Benchmarks/Results $(if $(PEER),--peer $(PEER) --script Benchmarks/peer_networks.py)

bench-packages:
	@command -v rsvg-convert >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "Missing: rsvg-convert, of librsvg; install it with this system's package manager."; exit 1; }; \
	  SUDO=$$( [ "$$(id -u)" = 0 ] || echo sudo ); \
	  $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq librsvg2-bin fonts-dejavu-core; }

LEARNING = env -u OPENBLAS_CORETYPE $(BENCH)/LearningBenchmark Benchmarks/Data

bench: benchmarks bench-packages ## Learned against heuristic canonicalization, seven kinds of tasks, and pages of text: half an hour
	$(LEARNING) --out Benchmarks/Results/learning
	@if pkg-config --exists pangocairo; then $(MAKE) --no-print-directory bench-some-pages; \
	else echo "Pages of text are left out: make page-packages installs the fonts that they are drawn with."; fi

# The model that is shipped, and the heuristics, on pages of fonts and layouts that it never saw: three minutes.
bench-some-pages: page-generator
	mkdir -p Benchmarks/Results/pages
	env -u OPENBLAS_CORETYPE $(PAGES) measure models/pages.safetensors --pages 240 > Benchmarks/Results/pages/some.txt
	@cat Benchmarks/Results/pages/some.txt

bench-full: benchmarks bench-packages ## The same with the paper's sizes: a day
	$(LEARNING) --full --out Benchmarks/Results/learning-full

LATENT = env -u OPENBLAS_CORETYPE $(BENCH)/LatentBenchmark

bench-latent: benchmarks ## Latent spaces and almost equivariance, beside their papers' baselines: four hours, or ONLY="plume window"
	$(LATENT) $(foreach task,$(ONLY),--only $(task))

bench-latent-speed: benchmarks ## Training steps of these models; PEER=python (with torch) times the same networks there, in turn
	env -u OPENBLAS_CORETYPE $(BENCH)/SpeedBenchmark Benchmarks/Data --only latent --runs $(RUNS) \
	  --out Benchmarks/Results/latent $(if $(PEER),--peer $(PEER))

bench-latent-full: benchmarks ## The same with the papers' sizes: a day and more
	$(LATENT) --full --out Benchmarks/Results/latent-full

onnx-format: ## Generates the code of ONNX's format anew (with protoc)
	swift build -c release --product protoc-gen-swift
	cd Sources/ONNXFormat && protoc --plugin=../../.build/release/protoc-gen-swift --swift_out=. \
	  --swift_opt=Visibility=Public --swift_opt=UseAccessLevelOnImports=true onnx.proto

onnx-table: ## All of ONNX's node tests, and the table of operators; ONNX=python names one with onnx
	$(ONNX) Tests/ONNXTests/export-nodes .build-onnx
	CANON_ONNX_TESTS=$$PWD/.build-onnx CANON_ONNX_TABLE=$$PWD/docs/onnx-operators.md \
	  swift test --disable-xctest --filter ONNXTests.OperatorTests

# Pango, the fonts of six scripts, and dictionaries: what the pages of the model `pages` are drawn with.
FONTS = fonts-dejavu fonts-liberation fonts-freefont-ttf fonts-sil-gentium fonts-linuxlibertine fonts-lato \
  fonts-courier-prime fonts-open-sans fonts-crosextra-carlito fonts-crosextra-caladea fonts-junicode fonts-urw-base35 \
  fonts-noto-core fonts-roboto-unhinted fonts-roboto-slab fonts-cmu fonts-oldstandard fonts-cantarell fonts-sil-charis \
  fonts-paratype fonts-gfs-didot fonts-gfs-artemisia fonts-gfs-neohellenic fonts-hosny-amiri fonts-hosny-thabit \
  fonts-kacst fonts-sil-scheherazade fonts-sil-harmattan fonts-sil-lateef culmus fonts-sil-ezra fonts-wqy-zenhei \
  fonts-wqy-microhei fonts-arphic-uming fonts-arphic-gkai00mp fonts-ipafont fonts-takao-gothic fonts-noto-cjk \
  fonts-vlgothic
WORDS = $(addprefix hunspell-,en-us de-de fr es pl tr ru uk bg el ar he)
PAGES = .build-pages/release/GeneratedPages

page-packages:
	SUDO=$$( [ "$$(id -u)" = 0 ] || echo sudo ); \
	  $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq libpango1.0-dev $(FONTS) $(WORDS)

page-generator: needs-swift packages
	swift build -c release --package-path Pages --scratch-path .build-pages

page-data: page-generator ## Pages of text in six scripts (make page-packages first): page-data, 1 GB
	$(PAGES) parts page-data --pages 2400 --seed 0
	$(PAGES) pages page-data/pages --pages 600 --seed 1
	$(PAGES) pages page-data/valid --pages 600 --seed 2

pages-model: build page-data ## The model `pages` anew: models/pages.safetensors, half an hour
	rm -rf runs/page-parts runs/pages
	$(CANON) train configs/page-parts.yaml --out runs/page-parts
	$(CANON) train configs/pages.yaml --out runs/pages
	$(CANON) calibrate runs/pages page-data/valid --skew 15 --error 0.001 --out models/pages.safetensors

bench-pages: build page-generator ## The model `pages` beside heuristics and Tesseract, on fonts and layouts that it never saw
	mkdir -p Benchmarks/Results/pages
	env -u OPENBLAS_CORETYPE $(PAGES) measure models/pages.safetensors --pages 2000 --tesseract 200 > Benchmarks/Results/pages/all.txt
	@cat Benchmarks/Results/pages/all.txt

check: lint build docs test ## Everything
