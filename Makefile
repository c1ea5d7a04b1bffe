# make build    the gatehouse command, as bin/gatehouse
# make quick    the tests without the real servers and the race detector, for the daily
#               loop: they need no Debian packages but gcc and python3
# make test     install what the tests need, check the code, run all tests; with WINE=1 those
#               for Windows, too
# make deb      packages for Debian and Ubuntu in bin/: gatehouse and gatehouse-fcgiwrap
# make rpm      the same for rpm
# make deb-test
#               install, upgrade, remove and purge them in a fresh Debian with its own systemd
# make apps     real applications of Debian, each installed and driven through nginx, and compared
#               with fcgiwrap (docs/programs.md): APPS='^TestNagios$$' for one, ROOTS=DIR keeps
#               what is installed for the next run
# make install  gatehouse, its units, manual and completion below DESTDIR and PREFIX
# make image    a container image with the static binary, by docker, podman or buildah
# make kubernetes
#               read the files for Kubernetes into the types of its API (part of make test)
# make bench    the gateway beside its peers, as a table of ratios
# make soak     the long tests: repetitions, the machine of FastCGI connections
#               (CHECKS=20000), programs and clients that are killed, and drains
#               (REQUESTS=100000), clients of FastCGI applications that leave
#               (CANCELS=10000), upgrades and restarts under load (UPGRADES=20), reloads of
#               workers under load, and workers that are killed (WORKERS=1000), random
#               faults (FAULTTIME=1h), and fuzzing (FUZZTIME=10m each)

GO       ?= go
FUZZTIME ?= 1m
CHECKS   ?= 10000
REQUESTS ?= 100000
CANCELS  ?= 10000
UPGRADES ?= 20
WORKERS ?= 1000
FAULTTIME ?= 1h
# Packages with code for Windows, whose tests run under wine.
WINDOWS = ./cgi/process ./cgi/script ./daemon/gatehouse ./iis ./internal/namedpipe
# Tests that run side by side mostly wait.
PARALLEL = -parallel 8
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The release of the binary that nfpm builds packages with: the last whose modules can all
# be had from the Go module proxy.
NFPM = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0

# The tests of "make apps", and where it installs the applications, if not for one run.
APPS  ?= .
ROOTS ?=

# Examples that are modules of their own, for what they depend on.
MODULES = cgi/opentelemetry

PREFIX  ?= /usr/local
SYSCONF ?= /etc
LIB      = $(DESTDIR)$(PREFIX)/lib
SHARE    = $(DESTDIR)$(PREFIX)/share
# What packages are called and signed with.
VERSION    ?= $(or $(shell git describe --tags --match 'v*' 2>/dev/null | sed 's/^v//; s/-/+/; s/-/./g'),$(shell git log -1 --format=0.0.%ct+%h 2>/dev/null),0.0.0)
MAINTAINER ?= Gatehouse maintainers <gatehouse@example.org>
GOARCH     ?= $(shell $(GO) env GOARCH)
# The container image: its name, what builds it, and where its root is put together.
IMAGE     ?= gatehouse
BUILDER   ?= $(firstword $(foreach b,docker podman buildah,$(shell command -v $(b))))
IMAGEROOT ?= bin/image
# Runs a Go program on this machine, whatever machine is built for.
HOST        = GOARCH= $(GO) run

.PHONY: build quick test wine check packages install deb rpm layout deb-test apps image kubernetes bench soak machine kills cancels drains reloads upgrades workers faults fuzz

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/gatehouse ./daemon/gatehouse

quick:
	$(GO) test $(PARALLEL) $$($(GO) list ./... | grep -vE '/deploy(/docker|/monitoring|/scale)?$$')

test: packages check kubernetes
	$(GO) test -race $(PARALLEL) -timeout 12m ./...
	$(GO) test -run Allocat ./cgi ./fastcgi/upstream # which the race detector does, too
	@for module in $(MODULES); do (cd $$module && $(GO) test -race ./...) || exit 1; done
ifeq ($(WINE),1)
	@$(MAKE) --no-print-directory wine
endif

# The tests for Windows, under Debian's wine (see internal/wine).
wine: export WINE := 1
wine: packages
	GOOS=windows GOARCH=amd64 $(GO) build -trimpath -o bin/gatehouse.exe ./daemon/gatehouse
	$(GO) build -o bin/wine ./internal/wine
	GATEHOUSE_EXE=$(CURDIR)/bin/gatehouse.exe GOOS=windows GOARCH=amd64 \
		$(GO) test -p 1 -count=1 -exec $(CURDIR)/bin/wine -timeout 15m $(WINDOWS)

check:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted"; exit 1; fi
	GOOS=linux   $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=windows GOARCH=arm64 $(GO) vet ./...
	GOOS=darwin  $(GO) vet ./...
	GOOS=freebsd $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@for module in $(MODULES); do (cd $$module && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./...) || exit 1; done

# The test of deploy/kubernetes has a module of its own: gatehouse needs nothing of k8s.io.
kubernetes: packages
	cd deploy/kubernetes && $(GO) vet ./... && $(GO) test -count=1 ./...

packages:
	@sh .ci/packages

# Installs a file that names places of others: $(call place,FROM,TO).
place = { sed 's|/usr/bin/gatehouse|$(PREFIX)/bin/gatehouse|g; s|/usr/share/gatehouse|$(PREFIX)/share/gatehouse|g; s|/usr/share/doc/gatehouse|$(PREFIX)/share/doc/gatehouse|g' $(1) >$(2) && chmod 644 $(2); } || exit 1

# The manual and the completion are printed by the command.
install:
	@mkdir -p bin
	CGO_ENABLED=0 GOARCH=$(GOARCH) $(GO) build -trimpath -ldflags '-s -w' -o bin/install-gatehouse ./daemon/gatehouse
	install -D bin/install-gatehouse $(DESTDIR)$(PREFIX)/bin/gatehouse
	install -d $(LIB)/systemd/system/gatehouse@git.service.d $(LIB)/sysusers.d $(LIB)/tmpfiles.d $(SHARE)/gatehouse/systemd $(SHARE)/gatehouse/git $(SHARE)/gatehouse/prometheus \
		$(SHARE)/doc/gatehouse $(SHARE)/man/man1 $(SHARE)/man/man5 $(DESTDIR)$(SYSCONF)/gatehouse $(DESTDIR)$(SYSCONF)/logrotate.d \
		$(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	for unit in gatehouse.service gatehouse.socket gatehouse-admin.socket gatehouse-admin@.socket gatehouse@.service gatehouse@.socket; do \
		$(call place,deploy/systemd/$$unit,$(LIB)/systemd/system/$$unit); done
	for profile in compat.conf cgroup.conf; do \
		$(call place,deploy/systemd/$$profile,$(SHARE)/gatehouse/systemd/$$profile); done
	install -m 644 deploy/systemd/git.conf $(LIB)/systemd/system/gatehouse@git.service.d/git.conf
	install -m 644 deploy/packaging/sysusers.conf $(LIB)/sysusers.d/gatehouse.conf
	install -m 644 deploy/packaging/tmpfiles.conf $(LIB)/tmpfiles.d/gatehouse.conf
	install -m 644 deploy/packaging/git.sysusers.conf $(SHARE)/gatehouse/git/sysusers.conf
	install -m 644 deploy/packaging/git.tmpfiles.conf $(SHARE)/gatehouse/git/tmpfiles.conf
	for page in README.md docs/systemd.md docs/cgi.md docs/operating.md; do \
		$(call place,$$page,$(SHARE)/doc/gatehouse/$${page##*/}); done
	install -m 644 deploy/prometheus/* $(SHARE)/gatehouse/prometheus/
	$(HOST) ./daemon/gatehouse help gatehouse.1 | gzip -9n >$(SHARE)/man/man1/gatehouse.1.gz
	$(HOST) ./daemon/gatehouse help gatehouse.toml.5 | gzip -9n >$(SHARE)/man/man5/gatehouse.toml.5.gz
	$(HOST) ./daemon/gatehouse completion bash >$(SHARE)/bash-completion/completions/gatehouse
	$(HOST) ./daemon/gatehouse completion zsh >$(SHARE)/zsh/site-functions/_gatehouse
	$(HOST) ./daemon/gatehouse completion fish >$(SHARE)/fish/vendor_completions.d/gatehouse.fish
	install -m 644 deploy/packaging/logrotate.conf $(DESTDIR)$(SYSCONF)/logrotate.d/gatehouse
	for file in gatehouse git; do \
		[ -e $(DESTDIR)$(SYSCONF)/gatehouse/$$file.toml ] || $(call place,deploy/packaging/$$file.toml,$(DESTDIR)$(SYSCONF)/gatehouse/$$file.toml); done
	install -d $(DESTDIR)/usr/lib/cgi-bin

# What both kinds of packages are made of.
layout:
	rm -rf bin/package
	umask 022 && $(MAKE) --no-print-directory install DESTDIR=bin/package/root PREFIX=/usr
	mv bin/package/root/usr/share/zsh/site-functions/_gatehouse bin/package/
	rm -r bin/package/root/usr/share/zsh
	rmdir bin/package/root/usr/lib/cgi-bin
	$(HOST) ./daemon/gatehouse help fcgiwrap.8 | gzip -9n >bin/package/fcgiwrap.8.gz
	sh deploy/packaging/debian/copyright >bin/package/copyright
	sh deploy/packaging/debian/changelog gatehouse '$(VERSION)-1' '$(MAINTAINER)' | gzip -9n >bin/package/changelog.gz

deb rpm: export VERSION := $(VERSION)
deb rpm: export MAINTAINER := $(MAINTAINER)
deb rpm: export ARCH := $(GOARCH)
deb rpm: layout
	rm -f bin/gatehouse*.$@
	$(HOST) $(NFPM) package -p $@ -f deploy/packaging/gatehouse.yaml -t bin/
	$(HOST) $(NFPM) package -p $@ -f deploy/packaging/fcgiwrap.yaml -t bin/

# The directory is for this run alone: the roots that the machines share, and the packages. One
# Go package at a time, so that each test is seen when it begins and ends.
deb-test: packages deb rpm
	@set -e; run=$$(mktemp -d); trap 'rm -rf --one-file-system $$run' EXIT; mkdir $$run/packages; \
	cp bin/gatehouse_$(VERSION)-1_*.deb bin/gatehouse-fcgiwrap_$(VERSION)-1_*.deb \
		bin/gatehouse-$(VERSION)-1.*.rpm bin/gatehouse-fcgiwrap-$(VERSION)-1.*.rpm $$run/packages; \
	GATEHOUSE_MACHINE=$$run $(GO) test -v -p 1 -parallel 3 -count=1 -timeout 20m ./internal/machine ./deploy/packaging ./deploy/supervised

# Each application has a root directory of its own, on that of a Debian with nginx and fcgiwrap.
apps: packages
	@set -e; roots='$(ROOTS)'; if [ -z "$$roots" ]; then roots=$$(mktemp -d); trap 'rm -rf --one-file-system $$roots' EXIT; fi; mkdir -p "$$roots"; \
	GATEHOUSE_APPS=$$(cd "$$roots" && pwd) CGO_ENABLED=0 $(GO) test -v -count=1 -parallel 2 -timeout 60m -run '$(APPS)' ./deploy/apps

# podman and buildah leave HEALTHCHECK out of their own format.
image: export BUILDAH_FORMAT := docker
image:
	@[ -n "$(BUILDER)" ] || { echo 'an image is built by docker, podman or buildah: install one of them, or name another with BUILDER=' >&2; exit 1; }
	rm -rf $(IMAGEROOT)
	umask 022 && CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) $(GO) build -trimpath -ldflags '-s -w' -o $(IMAGEROOT)/usr/bin/gatehouse ./daemon/gatehouse
	umask 022 && install -D -m 644 deploy/docker/gatehouse.toml $(IMAGEROOT)/etc/gatehouse/gatehouse.toml
	install -d -m 1777 $(IMAGEROOT)/tmp
	$(BUILDER) build -t $(IMAGE) -f deploy/docker/Dockerfile $(IMAGEROOT)

bench: packages
	$(GO) run ./internal/bench $(BENCHFLAGS)

soak: packages machine kills cancels drains reloads upgrades workers faults fuzz
	$(GO) test -race -count=20 -timeout 60m . ./cgi/... ./fastcgi/... ./scgi/... ./systemd/... ./daemon/...
	$(GO) test -race -count=3 -timeout 60m ./deploy/...

# Random connections against their model; one that fails says how to repeat it.
machine:
	$(GO) test -run '^TestMachine$$' -timeout 60m ./fastcgi -rapid.checks $(CHECKS) -rapid.nofailfile

# Requests whose programs and clients are killed at random; the seed is printed. Workers that are
# killed under load.
kills: packages
	$(GO) test -v -run '^TestRandomKills$$' -timeout 60m ./deploy -kills.requests $(REQUESTS)
	$(GO) test -v -run '^TestKilledWorkers$$' -timeout 60m ./fastcgi/pool/python -python.kills 1000

# Requests to a FastCGI application whose clients leave.
cancels:
	$(GO) test -v -run '^TestCancelled$$' -timeout 60m ./fastcgi/upstream -upstream.cancelled $(CANCELS)

# Signals while clients connect for each request, so many for each protocol and kind of
# socket.
drains:
	$(GO) test -v -run '^TestDrainLosesNothing$$' -timeout 60m ./daemon -drain.requests $(REQUESTS)

# Reloads while clients send requests, and generations of workers under load.
reloads:
	$(GO) test -v -run '^TestReloadLosesNothing$$' -timeout 60m ./daemon -reload.times 100
	$(GO) test -v -run '^TestRollingReloads$$' -timeout 60m ./fastcgi/pool/python -python.reloads 100

# Processes that replace each other under load, by SIGUSR2, and by a restart on kept sockets.
upgrades:
	$(GO) test -v -run '^TestReplacementLosesNothing$$' -timeout 60m ./daemon -upgrades $(UPGRADES) -restarts $(UPGRADES)

# A Django project whose gateway reloads 100 times under load, and whose workers are killed.
workers: packages
	$(GO) test -v -run '^TestWSGIReload$$|^TestWSGIKills$$' -timeout 0 ./deploy -wsgi.reloads 100 -wsgi.kills $(WORKERS)

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
