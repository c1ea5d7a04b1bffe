package daemon

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"time"
)

// A setter applies the value of a key in a table, or adds an error to the table.
type setter func(t *table, key string, value any)

// value sets any value.
func value(set func(any) error) setter {
	return func(t *table, key string, v any) {
		if err := set(v); err != nil {
			t.fail(key, err)
		}
	}
}

// typed sets a value of one type, which messages call what.
func typed[T any](what string, set func(T) error) setter {
	return value(func(v any) error {
		x, ok := v.(T)
		if !ok {
			return fmt.Errorf("%s is not %s", quoted(v), what)
		}
		return set(x)
	})
}

func text(set func(string) error) setter { return typed("a string in quotes", set) }

// flag sets true or false.
func flag(field *bool) setter {
	return typed("true or false", func(on bool) error {
		*field = on
		return nil
	})
}

// noFlag sets a field that means the opposite.
func noFlag(field *bool) setter {
	return typed("true or false", func(on bool) error {
		*field = !on
		return nil
	})
}

// each adds a string, or each of an array of strings.
func each(add func(string) error) setter {
	one := text(add)
	return func(t *table, key string, v any) {
		items, ok := v.([]any)
		if !ok {
			items = []any{v}
		}
		for _, item := range items {
			one(t, key, item)
		}
	}
}

// pairs adds a table of strings, sorted by name.
func pairs(add func(name, value string) error) setter {
	return func(t *table, key string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			t.fail(key, fmt.Errorf(`%s is not a table: write { NAME = "value" }`, quoted(v)))
			return
		}
		sub := &table{doc: t.doc, path: join(t.path, key)}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			text(func(value string) error { return add(name, value) })(sub, name, m[name])
		}
		t.errs = append(t.errs, sub.errs...)
	}
}

// choice sets a field to one of several words.
func choice[T any](field *T, parse func(string) (T, bool), words string) setter {
	return text(func(s string) error {
		v, ok := parse(s)
		if !ok {
			return fmt.Errorf("%q is not one of %s", s, words)
		}
		*field = v
		return nil
	})
}

// count sets a whole number that is at least least.
func count(field *int, least int64) setter {
	return value(func(v any) error {
		n, err := parseCount(v)
		if err == nil && n < least {
			err = fmt.Errorf("%s is less than %d", quoted(v), least)
		}
		*field = int(n)
		return err
	})
}

// duration sets a time that is more than zero.
func duration(field *time.Duration) setter {
	return value(func(v any) error {
		n, err := parseDuration(v)
		if err == nil && n <= 0 {
			err = fmt.Errorf("%s is not more than zero: write %s", quoted(v), UnitDuration)
		}
		*field = time.Duration(n)
		return err
	})
}

// size sets a number of bytes.
func size(field *int64) setter {
	return value(func(v any) (err error) {
		*field, err = parseSize(v)
		if err == nil && *field <= 0 {
			err = fmt.Errorf("%s is not more than zero: write %s", quoted(v), UnitSize)
		}
		return err
	})
}

// processors sets a number of processors, which need not be whole.
func processors(field *float64) setter {
	return value(func(v any) error {
		switch n := v.(type) {
		case int64:
			*field = float64(n)
		case float64:
			*field = n
		}
		if !(*field > 0 && *field <= 1<<20) {
			return fmt.Errorf("%s is not a number of processors, such as 0.5 or 2", quoted(v))
		}
		return nil
	})
}

// name sets a name.
func name(field *string) setter {
	return text(func(s string) error {
		if s == "" {
			return errors.New("an empty name: write one, or remove the key")
		}
		*field = s
		return nil
	})
}

// umask sets an octal number in quotes, as in a shell. It stores 0 as -1.
func umask(field *int) setter {
	return text(func(s string) error {
		n, err := strconv.ParseUint(s, 8, 32)
		if err != nil || n > 0o777 {
			return fmt.Errorf(`%q is not a umask: write three octal digits in quotes, such as "027"`, s)
		}
		*field = int(n)
		if n == 0 {
			*field = -1
		}
		return nil
	})
}

// patterns adds patterns for names.
func patterns(list *[]string, example string) setter {
	return each(func(s string) error {
		if _, err := path.Match(s, ""); err != nil || s == "" {
			return fmt.Errorf("%q is not a pattern for names, such as %q", s, example)
		}
		*list = append(*list, s)
		return nil
	})
}

// paths adds files and directories, which need not exist.
func paths(list *[]string) setter {
	return each(func(s string) error {
		*list = append(*list, s)
		if s == "" {
			return errors.New("empty path: write a file or a directory")
		}
		return checkAbsolute(s)
	})
}

// existing adds files and directories, which must exist.
func existing(list *[]string) setter {
	return each(func(s string) error {
		*list = append(*list, s)
		if s == "" {
			return errors.New("empty path: write a file or a directory")
		}
		if err := checkAbsolute(s); err != nil {
			return err
		}
		if info, err := os.Stat(s); err == nil && !info.IsDir() {
			return nil
		}
		return checkSearch(s)
	})
}

// directory sets a directory, which must exist.
func directory(field *string) setter {
	return absoluteDirectory(field, checkDirectory)
}

// laterDirectory sets a directory that is looked up later, since other keys say where it
// lies.
func laterDirectory(field *string) setter {
	return absoluteDirectory(field, func(string) error { return nil })
}

func absoluteDirectory(field *string, check func(string) error) setter {
	return text(func(s string) error {
		*field = s
		if s == "" {
			return errors.New("empty path: write a directory, or remove the key")
		}
		if err := checkAbsolute(s); err != nil {
			return err
		}
		return check(s)
	})
}
