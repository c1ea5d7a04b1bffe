package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// quoted formats a value of a configuration for a message.
func quoted(value any) string {
	if s, ok := value.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(value)
}

// bare returns err without the operation and the path, for messages that name them
// already.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		err = se.Err
	}
	return err
}

// parseCount reads a whole number that fits 31 bits.
func parseCount(value any) (int64, error) {
	var n int64
	var err error
	switch v := value.(type) {
	case int64:
		n = v
	case string:
		n, err = strconv.ParseInt(v, 10, 64)
	default:
		err = strconv.ErrSyntax
	}
	if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
		return 0, fmt.Errorf("%s is not %s up to %d", quoted(value), UnitCount, math.MaxInt32)
	}
	return n, nil
}

// sizeUnits are the suffixes of sizes, in bytes.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"B", 1}}

// parseSize reads a number of bytes, or a string of digits with one of the suffixes B,
// KiB, MiB, GiB and TiB.
func parseSize(value any) (int64, error) {
	if n, ok := value.(int64); ok {
		return n, nil
	}
	s, ok := value.(string)
	if !ok {
		return 0, fmt.Errorf("%s is not %s", quoted(value), UnitSize)
	}
	digits, factor := s, int64(1)
	for _, u := range sizeUnits {
		if d, found := strings.CutSuffix(s, u.suffix); found {
			digits, factor = strings.TrimSuffix(d, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is not %s (up to 8 EiB; the suffixes are KiB, MiB, GiB and TiB)", s, UnitSize)
	}
	return int64(n) * factor, nil
}

// parseDuration reads a string in the form of time.ParseDuration, in nanoseconds.
func parseDuration(value any) (int64, error) {
	s, ok := value.(string)
	if !ok {
		return 0, fmt.Errorf("%s is not %s: it needs a unit, in quotes", quoted(value), UnitDuration)
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not %s", s, UnitDuration)
	}
	return int64(d), nil
}
