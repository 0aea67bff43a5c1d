# The event loop: timers, a pipeline read by file events, and computing in between.
set ticks 0
set lines {}
proc tick {} {
    incr ::ticks
    if {$::ticks < 20} { after 40 tick }
}
proc take {channel} {
    if {[gets $channel line] >= 0} { lappend ::lines $line }
    if {[eof $channel]} { close $channel; set ::done 1 }
}
after 40 tick
set channel [open "|sh -c {for i in 1 2 3 4 5 6 7 8 9 10; do echo line \$i; sleep 0.05; done}" r]
fconfigure $channel -blocking 0
fileevent $channel readable [list take $channel]
vwait done
set sum 0
for {set i 0} {$i < 600000} {incr i} { set sum [expr {($sum * 31 + $i) % 1000003}] }
while {$ticks < 20} { vwait ticks }
set result [open result w]
puts $result "$lines\n$sum $ticks"
close $result
