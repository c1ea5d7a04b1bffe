package daemon

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/cgi/process"
)

// confinement takes the keys that say as whom programs run and what they may not do.
// It returns those that are given.
func (t *table) confinement(a *App) (given []string) {
	take := func(key string, set func(value any) error) {
		v, ok := t.take(key)
		if !ok {
			return
		}
		given = append(given, key)
		if err := set(v); err != nil {
			t.fail(key, err)
		}
	}
	text := func(key string, set func(string) error) {
		take(key, func(v any) error {
			s, ok := v.(string)
			if !ok {
				return fmt.Errorf("%s is not a string in quotes", quoted(v))
			}
			return set(s)
		})
	}
	name := func(key string, field *string) {
		text(key, func(s string) error {
			if s == "" {
				return errors.New("an empty name: write one, or remove the key")
			}
			*field = s
			return nil
		})
	}
	flag := func(key string, field *bool) {
		take(key, func(v any) error {
			on, ok := v.(bool)
			if !ok {
				return fmt.Errorf("%s is not true or false", quoted(v))
			}
			*field = on
			return nil
		})
	}
	count := func(key string, field *int, least int64) {
		take(key, func(v any) error {
			n, err := parseCount(v)
			if err == nil && n < least {
				err = fmt.Errorf("%s is less than %d", quoted(v), least)
			}
			*field = int(n)
			return err
		})
	}
	paths := func(key string, field *[]string) {
		if t.list(key, func(s string) error {
			*field = append(*field, s)
			if s == "" {
				return errors.New("empty path: write a file or a directory")
			}
			return checkAbsolute(s)
		}) {
			given = append(given, key)
		}
	}
	directory := func(key string, field *string) {
		text(key, func(s string) error {
			*field = s
			if s == "" {
				return errors.New("empty path: write a directory, or remove the key")
			}
			if err := checkAbsolute(s); err != nil {
				return err
			}
			return checkDirectory(s)
		})
	}

	r, c, g := &a.RunAs, &a.Confinement, &a.Cgroup
	name("user", &r.User)
	name("group", &r.Group)
	text("run_as", func(s string) error {
		r.Owner = true
		if s != "owner" {
			return fmt.Errorf(`%q is not "owner": for a user write user = %q`, s, s)
		}
		return nil
	})
	count("min_uid", &r.MinUID, 1)
	count("min_gid", &r.MinGID, 1)
	flag("check_owner", &c.CheckOwner)
	flag("check_mode", &c.CheckMode)
	directory("chroot", &c.Chroot)
	text("umask", func(s string) error { return setUmask(&c.Umask, s) })
	count("nice", &c.Nice, -20)
	flag("no_new_privs", &c.NoNewPrivs)
	flag("no_core", &c.NoCore)
	paths("read_paths", &c.Read)
	paths("write_paths", &c.Write)
	directory("cgroup", &g.Dir)
	flag("cgroup_each", &g.EachProgram)
	take("cgroup_memory", func(v any) (err error) {
		g.Memory, err = parseSize(v)
		if err == nil && g.Memory <= 0 {
			err = fmt.Errorf("%s is not more than zero: write %s", quoted(v), UnitSize)
		}
		return err
	})
	count("cgroup_processes", &g.Processes, 1)
	take("cgroup_cpu", func(v any) error {
		switch n := v.(type) {
		case int64:
			g.CPU = float64(n)
		case float64:
			g.CPU = n
		}
		if !(g.CPU > 0 && g.CPU <= 1<<20) {
			return fmt.Errorf("%s is not a number of processors, such as 0.5 or 2", quoted(v))
		}
		return nil
	})
	return given
}

// setUmask reads an octal number in quotes, as a shell has it.
func setUmask(field *int, s string) error {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf(`%q is not a umask: write three octal digits in quotes, such as "027"`, s)
	}
	*field = int(n)
	if n == 0 {
		*field = -1
	}
	return nil
}

// checkConfinement returns what is wrong with the confinement of programs, a line for
// each thing.
func (a App) checkConfinement() []error {
	err := a.scripts(nil, nil).Check()
	if err == nil {
		return nil
	}
	var errs []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		errs = append(errs, fmt.Errorf("%s: %s", a.place(), line))
	}
	return errs
}

// runsUnchanged reports whether the application starts processes as the user of this
// process, whoever that is.
func (a App) runsUnchanged() bool {
	return a.runsPrograms() && a.RunAs == process.RunAs{}
}
