package gatehouse

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"syscall"

	"gatehouse/cgi"
)

const (
	// spareDescriptors are for what is open for a moment, such as the database of users.
	spareDescriptors = 16

	// perConnection is how many descriptors a connection has: its socket, and the file that
	// is sent on it or that its body is kept in.
	perConnection = 2

	// leastShare is the part of the descriptors that connections get however large Reserve
	// is: one in twelve, so that each can have a program, which takes ten.
	leastShare = 12
)

// A room is what descriptors the process may have for connections and for App.
type room struct {
	limit, free int // free: besides listeners; limit: 0 for no bound
	said        struct{ wanted, fit, reserve int }
}

func newRoom(s *Server) room {
	limit := descriptorLimit()
	if s.Limits.Shared != nil {
		limit = 0 // the bound is the caller's
	}
	return room{limit: limit, free: limit - openDescriptors() - spareDescriptors}
}

// share bounds the connections of all endpoints together, and the files of spools, by what
// descriptors the process may have. If max_connections and Reserve do not fit, it says so in
// the log. The totals of before, of which there may be none, go on.
func (r *room) share(s *Server, endpoints []Endpoint, before cgi.Limits) cgi.Limits {
	limits := s.Limits.KeepTotals(before).WithDefaults()
	if r.limit == 0 {
		return limits
	}
	if before.Shared == nil {
		r.free += len(endpoints) // counted as open
	}
	free := max(r.free-len(endpoints), 0)
	fit := max((free-s.Reserve)/perConnection, free/leastShare, 2*len(endpoints))
	if limits.Shared == nil {
		limits.Shared = cgi.NewConnectionBudget(fit)
	} else {
		limits.Shared.Resize(fit)
	}
	limits.Spool.Total.LimitFiles(fit)
	wanted := 0
	for _, e := range endpoints {
		switch {
		case e.Once:
			wanted++
		case limits.Connections < math.MaxInt32: // otherwise as many as there can be
			wanted += limits.Connections
		}
	}
	said := r.said
	r.said.wanted, r.said.fit, r.said.reserve = wanted, fit, s.Reserve
	if reserved := max(free-perConnection*fit, 0); (wanted > fit || s.Reserve > reserved) && said != r.said {
		level := slog.LevelWarn
		if s.Limits.Connections == 0 {
			level = slog.LevelInfo // the default fits few systems, and what does is plenty
		}
		s.log().Log(context.Background(), level, "max_connections and programs do not fit into RLIMIT_NOFILE, so fewer are allowed: "+
			"raise LimitNOFILE= of the systemd unit (the hard limit of ulimit -n), or lower them",
			slog.Int("limit", r.limit), slog.Int("listeners", len(endpoints)),
			slog.Int("connections_wanted", wanted), slog.Int("connections", fit),
			slog.Int("program_descriptors_wanted", s.Reserve), slog.Int("program_descriptors", reserved))
	}
	return limits
}

// openDescriptors returns how many descriptors this process has, 0 if nobody tells. It needs
// one to look, unless the kernel is Linux 6.2 or later; where there is none left, all are
// open.
func openDescriptors() int {
	if info, err := os.Stat("/proc/self/fd"); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	list, err := os.ReadDir("/dev/fd")
	if errors.Is(err, syscall.EMFILE) {
		return descriptorLimit()
	}
	return len(list)
}
