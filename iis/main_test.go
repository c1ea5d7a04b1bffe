package iis_test

import (
	"testing"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) {
	beChild()
	testkit.Main(m)
}
