# make build    the gatehouse command, as bin/gatehouse
# make quick    the tests without the real servers and the race detector, for the daily
#               loop: they need no Debian packages but gcc and python3
# make test     install what the tests need, check the code, run all tests
# make bench    the gateway beside its peers, as a table of ratios
# make soak     the long tests: repetitions, the machine of FastCGI connections
#               (CHECKS=20000), programs and clients that are killed, and drains
#               (REQUESTS=100000), upgrades and restarts under load (UPGRADES=20),
#               random faults (FAULTTIME=1h), and fuzzing (FUZZTIME=10m each)

GO       ?= go
FUZZTIME ?= 1m
CHECKS   ?= 10000
REQUESTS ?= 100000
UPGRADES ?= 20
FAULTTIME ?= 1h
# Tests that run side by side mostly wait.
PARALLEL = -parallel 8
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build quick test check packages bench soak machine kills drains reloads upgrades faults fuzz

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/gatehouse ./daemon/gatehouse

quick:
	$(GO) test $(PARALLEL) $$($(GO) list ./... | grep -v '/deploy$$')

test: packages check
	$(GO) test -race $(PARALLEL) -timeout 12m ./...

check:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted"; exit 1; fi
	GOOS=linux   $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin  $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

packages:
	@sh .ci/packages

bench: packages
	$(GO) run ./internal/bench $(BENCHFLAGS)

soak: packages machine kills drains reloads upgrades faults fuzz
	$(GO) test -race -count=20 -timeout 60m . ./cgi/... ./fastcgi/... ./scgi/... ./systemd/... ./daemon/...
	$(GO) test -race -count=3 -timeout 60m ./deploy/...

# Random connections against their model; one that fails says how to repeat it.
machine:
	$(GO) test -run '^TestMachine$$' -timeout 60m ./fastcgi -rapid.checks $(CHECKS) -rapid.nofailfile

# Requests whose programs and clients are killed at random; the seed is printed.
kills: packages
	$(GO) test -v -run '^TestRandomKills$$' -timeout 60m ./deploy -kills.requests $(REQUESTS)

# Signals while clients connect for each request, so many for each protocol and kind of
# socket.
drains:
	$(GO) test -v -run '^TestDrainLosesNothing$$' -timeout 60m ./daemon -drain.requests $(REQUESTS)

# Reloads while clients send requests.
reloads:
	$(GO) test -v -run '^TestReloadLosesNothing$$' -timeout 60m ./daemon -reload.times 100

# Processes that replace each other under load, by SIGUSR2, and by a restart on kept sockets.
upgrades:
	$(GO) test -v -run '^TestReplacementLosesNothing$$' -timeout 60m ./daemon -upgrades $(UPGRADES) -restarts $(UPGRADES)

# Peers that stop anywhere, and a gateway that runs out of things; the seed of a round that
# fails is printed.
faults: packages
	$(GO) test -v -run '^TestRandomFaults$$' -timeout 0 ./deploy -faults.time $(FAULTTIME)

# Every fuzz target in turn; go test fuzzes one at a time.
fuzz:
	@set -e; for f in $$(grep -rl --include=*_test.go '^func Fuzz' .); do \
		for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f); do \
			echo "fuzzing $$t in $$(dirname $$f) for $(FUZZTIME)"; \
			$(GO) test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s ./$$(dirname $$f); \
		done; done
