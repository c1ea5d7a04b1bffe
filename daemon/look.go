package daemon

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/slow"
	"gatehouse/daemon/admin"
)

// Look returns what a request in flight does, by its number, and false if there is none with
// that.
func (d *Daemon) Look(id uint64) (l admin.Look, found bool) {
	list := d.InFlight()
	i := slices.IndexFunc(list, func(r cgi.InFlight) bool { return r.ID == id })
	if i < 0 {
		return l, false
	}
	l.Request = list[i]
	for _, g := range d.generations() {
		watched := false
		for _, w := range g.mounted.watches {
			if !sameMount(w.Name, l.Request.Application) || watched {
				continue
			}
			if l.Facts, watched = w.Look(id); watched {
				l.Limits = g.limitsOf(l.Request.Application)
				return l, true
			}
		}
	}
	l.Limits = d.current().limitsOf(l.Request.Application)
	if l.Request.Worker != nil {
		l.Facts = slow.LookAt(l.Request.Worker)
	}
	return l, true
}

// generations returns the one that serves, and then those whose requests have not ended.
func (d *Daemon) generations() []*generation {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []*generation{d.generation}
	for g := range d.old {
		list = append(list, g)
	}
	return list
}

// sameMount reports whether an application with this prefix has that name in the figures: none,
// if it is the only one and gets requests as they were sent.
func sameMount(prefix, name string) bool {
	return name == "" || strings.TrimSuffix(prefix, "/") == strings.TrimSuffix(name, "/")
}

// limitsOf returns the limits that an application has, as the configuration has them.
func (g *generation) limitsOf(name string) (list []admin.Fact) {
	for _, a := range g.config.Apps {
		t := a.Kind.traits()
		if !t.starts || !sameMount(a.Prefix, name) {
			continue
		}
		l := g.config.Limits
		l.Programs = a.Limits
		for _, row := range LimitTable() {
			if row.PerApp && t.instead[row.Key] == "" && (row.Unit == UnitDuration || row.Unit == UnitCount) {
				list = append(list, admin.Fact{Name: row.Key, Text: row.text(&l)})
			}
		}
		return list
	}
	return nil
}

// text returns the value of a limit in words.
func (l Limit) text(of *Limits) string {
	switch n := l.at(of).(type) {
	case *time.Duration:
		switch {
		case *n > 0:
			return n.String()
		case *n < 0:
			return "off"
		}
	case *int:
		switch {
		case *n > 0 && *n < math.MaxInt32:
			return strconv.Itoa(*n)
		case *n != 0:
			return "off"
		}
	}
	return l.Default
}
