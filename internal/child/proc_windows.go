package child

import (
	"os"
	"os/exec"
)

// StopSignals end the program. The console brings Ctrl-C to every process that
// is attached to it, so the children have it already.
var StopSignals = []os.Signal{os.Interrupt}

var request = os.Interrupt

func ownGroup(*exec.Cmd) {}

// signalGroup ends the child when told to kill; other signals do not exist here.
func signalGroup(p *os.Process, sig os.Signal) error {
	if sig == os.Kill {
		return p.Kill()
	}
	return nil
}

func ExitCode(st *os.ProcessState) int { return st.ExitCode() }

// SignalCode is what a shell elsewhere shows for Ctrl-C.
func SignalCode(os.Signal) int { return 130 }

func SignalName(sig os.Signal) string { return sig.String() }

func SurvivePipe() {}
