package version

import "testing"

func TestString(t *testing.T) {
	for _, tt := range []struct {
		info Info
		want string
	}{
		{Info{Version: "v1.2.3", Revision: "0123456789abcdef"}, "v1.2.3"},
		{Info{Version: "devel"}, "devel"},
		{Info{Version: "devel", Revision: "0123456789abcdef"}, "devel-0123456789ab"},
		{Info{Version: "devel", Revision: "0123", Modified: true}, "devel-0123+changes"},
	} {
		if got := tt.info.String(); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.info, got, tt.want)
		}
	}
	if v := Get(); v.Version == "" || v.Go == "" {
		t.Errorf("of this binary: %+v", v)
	}
}
