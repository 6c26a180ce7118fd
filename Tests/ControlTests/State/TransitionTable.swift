// SPDX-License-Identifier: Apache-2.0

/// situation | input | actions, without notices | position that follows
let transitionTable = """
  initial | start | readSavedState | reading
  initial | control served |  | initial
  initial | stop | stopped | stopped
  initial | reload |  | initial, 1 waiting
  initial | dry reload |  | initial, 1 waiting
  initial | drain |  | initial, 1 waiting
  initial | old tag |  | initial, 1 waiting
  initial | detach |  | initial, 1 waiting
  initial | health |  | initial
  initial | network |  | initial
  initial | link lost |  | initial
  initial | tick |  | initial
  initial | census | replyCensus | initial
  initial | stale census |  | initial
  initial | late result |  | initial
  reading saved state | start |  | reading
  reading saved state | control served |  | reading
  reading saved state | stop | not started, stopped | stopped
  reading saved state | reload |  | reading, 1 waiting
  reading saved state | dry reload |  | reading, 1 waiting
  reading saved state | drain |  | reading, 1 waiting
  reading saved state | old tag |  | reading, 1 waiting
  reading saved state | detach |  | reading, 1 waiting
  reading saved state | health |  | reading
  reading saved state | network |  | reading
  reading saved state | link lost |  | reading
  reading saved state | tick |  | reading
  reading saved state | census | replyCensus | reading
  reading saved state | stale census |  | reading
  reading saved state | late result |  | reading
  reading saved state | readSavedState ok | adopt | adopting
  reading saved state | readSavedState fails | adopt | adopting
  adopting | start |  | adopting
  adopting | control served |  | adopting
  adopting | stop | not started, stopped | stopped
  adopting | reload |  | adopting, 1 waiting
  adopting | dry reload |  | adopting, 1 waiting
  adopting | drain |  | adopting, 1 waiting
  adopting | old tag |  | adopting, 1 waiting
  adopting | detach |  | adopting, 1 waiting
  adopting | health |  | adopting
  adopting | network |  | adopting
  adopting | link lost |  | adopting
  adopting | tick |  | adopting
  adopting | census | replyCensus | adopting
  adopting | stale census |  | adopting
  adopting | late result |  | adopting
  adopting | adopt ok | readCounters, resolve | resolving
  adopting | adopt fails | not started | failed
  resolving | start |  | resolving
  resolving | control served |  | resolving
  resolving | stop | not started, stopped | stopped
  resolving | reload |  | resolving, 1 waiting
  resolving | dry reload |  | resolving, 1 waiting
  resolving | drain |  | resolving, 1 waiting
  resolving | old tag |  | resolving, 1 waiting
  resolving | detach |  | resolving, 1 waiting
  resolving | health | saveHealth | resolving
  resolving | network |  | resolving
  resolving | link lost |  | resolving
  resolving | tick |  | resolving
  resolving | census | replyCensus | resolving
  resolving | stale census |  | resolving
  resolving | late result |  | resolving
  resolving | readCounters ok |  | resolving
  resolving | readCounters fails |  | resolving
  resolving | resolve ok | startChecks, setProbePaths, check, saveHealth, apply | applying, applying
  resolving | resolve fails | startChecks, setProbePaths, check, saveHealth, apply | applying, applying
  first plan | start |  | applying, applying
  first plan | control served |  | applying, applying
  first plan | stop | not started | stopping, applying
  first plan | reload |  | applying, applying, 1 waiting
  first plan | dry reload |  | applying, applying, 1 waiting
  first plan | drain |  | applying, applying, 1 waiting
  first plan | old tag |  | applying, applying, 1 waiting
  first plan | detach |  | applying, applying, 1 waiting
  first plan | health | saveHealth | applying, applying
  first plan | network |  | applying, applying
  first plan | link lost |  | applying, applying
  first plan | tick |  | applying, applying
  first plan | census | replyCensus | applying, applying
  first plan | stale census |  | applying, applying
  first plan | late result | setProbePaths, attach | attaching
  first plan | apply ok | setProbePaths, attach | attaching
  first plan | apply fails | not started | failed
  first attachment | start |  | attaching
  first attachment | control served |  | attaching
  first attachment | stop | not started, stopped | stopped
  first attachment | reload |  | attaching, 1 waiting
  first attachment | dry reload |  | attaching, 1 waiting
  first attachment | drain |  | attaching, 1 waiting
  first attachment | old tag |  | attaching, 1 waiting
  first attachment | detach |  | attaching, 1 waiting
  first attachment | health | saveHealth | attaching
  first attachment | network |  | attaching
  first attachment | link lost |  | attaching
  first attachment | tick |  | attaching
  first attachment | census | replyCensus | attaching
  first attachment | stale census |  | attaching
  first attachment | late result |  | attaching
  first attachment | attach ok | started | running
  first attachment | attach fails | not started | failed
  start failed | start |  | failed
  start failed | control served |  | failed
  start failed | stop | stopped | failed
  start failed | reload | reply 90 stopping | failed
  start failed | dry reload | reply 95 stopping | failed
  start failed | drain | reply 91 stopping | failed
  start failed | old tag | reply 92 stopping | failed
  start failed | detach | reply 93 stopping | failed
  start failed | health |  | failed
  start failed | network |  | failed
  start failed | link lost |  | failed
  start failed | tick |  | failed
  start failed | census | replyCensus | failed
  start failed | stale census |  | failed
  start failed | late result |  | failed
  running | start |  | ready
  running | control served |  | ready
  running | stop | stopped | stopped
  running | reload | loadConfiguration | ready, change loading
  running | dry reload | loadConfiguration | ready, change loading
  running | drain | save | ready, change saving
  running | old tag | reply 92 generation-changed | ready
  running | detach | detach | ready, change detaching
  running | health | saveHealth, apply | ready, applying
  running | network | readNetwork | ready
  running | link lost | setProbePaths | ready
  running | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, patrolling
  running | census | takeCensus | ready
  running | stale census |  | ready
  running | late result |  | ready
  own plan | start |  | ready, applying
  own plan | control served |  | ready, applying
  own plan | stop |  | stopping, applying
  own plan | reload | loadConfiguration | ready, change loading, applying
  own plan | dry reload | loadConfiguration | ready, change loading, applying
  own plan | drain | save | ready, change saving, applying
  own plan | old tag | reply 92 generation-changed | ready, applying
  own plan | detach | detach | ready, change detaching, applying
  own plan | health | saveHealth | ready, applying
  own plan | network | readNetwork | ready, applying
  own plan | link lost | setProbePaths | ready, applying
  own plan | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus | ready, applying
  own plan | census | takeCensus | ready, applying
  own plan | stale census |  | ready, applying
  own plan | late result | setProbePaths | ready
  own plan | apply ok | setProbePaths | ready
  own plan | apply fails | recover | ready, recovering
  recovering | start |  | ready, recovering
  recovering | control served |  | ready, recovering
  recovering | stop |  | stopping, recovering
  recovering | reload | loadConfiguration | ready, change loading, recovering
  recovering | dry reload | loadConfiguration | ready, change loading, recovering
  recovering | drain | save | ready, change saving, recovering
  recovering | old tag | reply 92 generation-changed | ready, recovering
  recovering | detach | detach | ready, change detaching, recovering
  recovering | health | saveHealth | ready, recovering
  recovering | network | readNetwork | ready, recovering
  recovering | link lost | setProbePaths | ready, recovering
  recovering | tick | watchPins, listSetAside, readCounters, readNetwork | ready, recovering
  recovering | census |  | ready, recovering
  recovering | stale census |  | ready, recovering
  recovering | late result |  | ready, recovering
  recovering | recover ok | apply | ready, applying
  recovering | recover fails |  | ready
  unreadable | start |  | ready
  unreadable | control served |  | ready
  unreadable | stop | stopped | stopped
  unreadable | reload | loadConfiguration | ready, change loading
  unreadable | dry reload | loadConfiguration | ready, change loading
  unreadable | drain | save | ready, change saving
  unreadable | old tag | reply 92 generation-changed | ready
  unreadable | detach | detach | ready, change detaching
  unreadable | health | saveHealth | ready
  unreadable | network | readNetwork | ready
  unreadable | link lost | setProbePaths | ready
  unreadable | tick | watchPins, listSetAside, readCounters, readNetwork, recover | ready, recovering
  unreadable | census | replyCensus | ready
  unreadable | stale census |  | ready
  unreadable | late result |  | ready
  patrolling | start |  | ready, patrolling
  patrolling | control served |  | ready, patrolling
  patrolling | stop |  | stopping, patrolling
  patrolling | reload | loadConfiguration | ready, change loading, patrolling
  patrolling | dry reload | loadConfiguration | ready, change loading, patrolling
  patrolling | drain | save | ready, change saving, patrolling
  patrolling | old tag | reply 92 generation-changed | ready, patrolling
  patrolling | detach | detach | ready, change detaching, patrolling
  patrolling | health | saveHealth | ready, patrolling
  patrolling | network |  | ready, patrolling
  patrolling | link lost | setProbePaths | ready, patrolling
  patrolling | tick | watchPins, listSetAside | ready, patrolling
  patrolling | census |  | ready, patrolling
  patrolling | stale census |  | ready, patrolling
  patrolling | late result |  | ready, patrolling
  patrolling | watchPins ok |  | ready, patrolling
  patrolling | watchPins fails |  | ready, patrolling
  patrolling | listSetAside ok |  | ready, patrolling
  patrolling | listSetAside fails |  | ready, patrolling
  patrolling | readCounters ok |  | ready, patrolling
  patrolling | readCounters fails |  | ready, patrolling
  patrolling | readNetwork ok |  | ready, patrolling
  patrolling | readNetwork fails |  | ready, patrolling
  patrolling | takeCensus ok |  | ready, patrolling
  patrolling | takeCensus fails |  | ready, patrolling
  patrolling | patrol ok |  | ready
  patrolling | patrol fails |  | ready
  clearing | start |  | ready, clearing
  clearing | control served |  | ready, clearing
  clearing | stop |  | stopping, clearing
  clearing | reload | loadConfiguration | ready, change loading, clearing
  clearing | dry reload | loadConfiguration | ready, change loading, clearing
  clearing | drain | save | ready, change saving, clearing
  clearing | old tag | reply 92 generation-changed | ready, clearing
  clearing | detach | detach | ready, change detaching, clearing
  clearing | health | saveHealth | ready, clearing
  clearing | network | readNetwork | ready, clearing
  clearing | link lost | setProbePaths | ready, clearing
  clearing | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus | ready, clearing
  clearing | census | replyCensus | ready, clearing
  clearing | stale census |  | ready, clearing
  clearing | late result |  | ready, clearing
  clearing | clearFlows ok |  | ready
  clearing | clearFlows fails |  | ready
  reload: loading | start |  | ready, change loading
  reload: loading | control served |  | ready, change loading
  reload: loading | stop | reply 1 stopping, stopped | stopped
  reload: loading | reload |  | ready, change loading, 1 waiting
  reload: loading | dry reload |  | ready, change loading, 1 waiting
  reload: loading | drain |  | ready, change loading, 1 waiting
  reload: loading | old tag |  | ready, change loading, 1 waiting
  reload: loading | detach |  | ready, change loading, 1 waiting
  reload: loading | health | saveHealth, apply | ready, change loading, applying
  reload: loading | network | readNetwork | ready, change loading
  reload: loading | link lost | setProbePaths | ready, change loading
  reload: loading | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change loading, patrolling
  reload: loading | census | takeCensus | ready, change loading
  reload: loading | stale census |  | ready, change loading
  reload: loading | late result |  | ready, change loading
  reload: loading | loadConfiguration ok | measure | ready, change measuring
  reload: loading | loadConfiguration fails | reply 1 configuration-invalid | ready
  reload: measuring | start |  | ready, change measuring
  reload: measuring | control served |  | ready, change measuring
  reload: measuring | stop | reply 1 stopping, stopped | stopped
  reload: measuring | reload |  | ready, change measuring, 1 waiting
  reload: measuring | dry reload |  | ready, change measuring, 1 waiting
  reload: measuring | drain |  | ready, change measuring, 1 waiting
  reload: measuring | old tag |  | ready, change measuring, 1 waiting
  reload: measuring | detach |  | ready, change measuring, 1 waiting
  reload: measuring | health | saveHealth, apply | ready, change measuring, applying
  reload: measuring | network | readNetwork | ready, change measuring
  reload: measuring | link lost | setProbePaths | ready, change measuring
  reload: measuring | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change measuring, patrolling
  reload: measuring | census | takeCensus | ready, change measuring
  reload: measuring | stale census |  | ready, change measuring
  reload: measuring | late result |  | ready, change measuring
  reload: measuring | measure ok | apply | ready, change applying, applying
  reload: measuring | measure fails | reply 1 failed | ready
  reload: applying | start |  | ready, change applying, applying
  reload: applying | control served |  | ready, change applying, applying
  reload: applying | stop |  | stopping, change applying, applying
  reload: applying | reload |  | ready, change applying, applying, 1 waiting
  reload: applying | dry reload |  | ready, change applying, applying, 1 waiting
  reload: applying | drain |  | ready, change applying, applying, 1 waiting
  reload: applying | old tag |  | ready, change applying, applying, 1 waiting
  reload: applying | detach |  | ready, change applying, applying, 1 waiting
  reload: applying | health | saveHealth | ready, change applying, applying
  reload: applying | network | readNetwork | ready, change applying, applying
  reload: applying | link lost | setProbePaths | ready, change applying, applying
  reload: applying | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus | ready, change applying, applying
  reload: applying | census | replyCensus | ready, change applying, applying
  reload: applying | stale census |  | ready, change applying, applying
  reload: applying | late result | setProbePaths, check, save | ready, change savingAfter
  reload: applying | apply ok | setProbePaths, check, save | ready, change savingAfter
  reload: applying | apply fails | reply 1 failed, recover | ready, recovering
  reload: saving | start |  | ready, change savingAfter
  reload: saving | control served |  | ready, change savingAfter
  reload: saving | stop |  | stopping, change savingAfter
  reload: saving | reload |  | ready, change savingAfter, 1 waiting
  reload: saving | dry reload |  | ready, change savingAfter, 1 waiting
  reload: saving | drain |  | ready, change savingAfter, 1 waiting
  reload: saving | old tag |  | ready, change savingAfter, 1 waiting
  reload: saving | detach |  | ready, change savingAfter, 1 waiting
  reload: saving | health | saveHealth, apply | ready, change savingAfter, applying
  reload: saving | network | readNetwork | ready, change savingAfter
  reload: saving | link lost | setProbePaths | ready, change savingAfter
  reload: saving | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change savingAfter, patrolling
  reload: saving | census | replyCensus | ready, change savingAfter
  reload: saving | stale census |  | ready, change savingAfter
  reload: saving | late result |  | ready, change savingAfter
  reload: saving | save ok | reply 1 done | ready
  reload: saving | save fails | reply 1 done | ready
  reload: to be tried again | start |  | ready
  reload: to be tried again | control served |  | ready
  reload: to be tried again | stop | stopped | stopped
  reload: to be tried again | reload | loadConfiguration | ready, change loading
  reload: to be tried again | dry reload | loadConfiguration | ready, change loading
  reload: to be tried again | drain | save | ready, change saving
  reload: to be tried again | old tag | reply 92 generation-changed | ready
  reload: to be tried again | detach | detach | ready, change detaching
  reload: to be tried again | health | saveHealth, apply | ready, applying
  reload: to be tried again | network | readNetwork | ready
  reload: to be tried again | link lost | setProbePaths | ready
  reload: to be tried again | tick | watchPins, listSetAside, readCounters, readNetwork, loadConfiguration, takeCensus, patrol | ready, change loading, patrolling
  reload: to be tried again | census | replyCensus | ready
  reload: to be tried again | stale census |  | ready
  reload: to be tried again | late result |  | ready
  add: resolving | start |  | ready, change resolving
  add: resolving | control served |  | ready, change resolving
  add: resolving | stop | reply 1 stopping, stopped | stopped
  add: resolving | reload |  | ready, change resolving, 1 waiting
  add: resolving | dry reload |  | ready, change resolving, 1 waiting
  add: resolving | drain |  | ready, change resolving, 1 waiting
  add: resolving | old tag |  | ready, change resolving, 1 waiting
  add: resolving | detach |  | ready, change resolving, 1 waiting
  add: resolving | health | saveHealth, apply | ready, change resolving, applying
  add: resolving | network | readNetwork | ready, change resolving
  add: resolving | link lost | setProbePaths | ready, change resolving
  add: resolving | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change resolving, patrolling
  add: resolving | census | takeCensus | ready, change resolving
  add: resolving | stale census |  | ready, change resolving
  add: resolving | late result |  | ready, change resolving
  add: resolving | resolve ok | save | ready, change saving
  add: resolving | resolve fails | save | ready, change saving
  add: saving | start |  | ready, change saving
  add: saving | control served |  | ready, change saving
  add: saving | stop |  | stopping, change saving
  add: saving | reload |  | ready, change saving, 1 waiting
  add: saving | dry reload |  | ready, change saving, 1 waiting
  add: saving | drain |  | ready, change saving, 1 waiting
  add: saving | old tag |  | ready, change saving, 1 waiting
  add: saving | detach |  | ready, change saving, 1 waiting
  add: saving | health | saveHealth, apply | ready, change saving, applying
  add: saving | network | readNetwork | ready, change saving
  add: saving | link lost | setProbePaths | ready, change saving
  add: saving | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change saving, patrolling
  add: saving | census | takeCensus | ready, change saving
  add: saving | stale census |  | ready, change saving
  add: saving | late result |  | ready, change saving
  add: saving | save ok | apply | ready, change applying, applying
  add: saving | save fails | apply | ready, change applying, applying
  add: applying | start |  | ready, change applying, applying
  add: applying | control served |  | ready, change applying, applying
  add: applying | stop |  | stopping, change applying, applying
  add: applying | reload |  | ready, change applying, applying, 1 waiting
  add: applying | dry reload |  | ready, change applying, applying, 1 waiting
  add: applying | drain |  | ready, change applying, applying, 1 waiting
  add: applying | old tag |  | ready, change applying, applying, 1 waiting
  add: applying | detach |  | ready, change applying, applying, 1 waiting
  add: applying | health | saveHealth | ready, change applying, applying
  add: applying | network | readNetwork | ready, change applying, applying
  add: applying | link lost | setProbePaths | ready, change applying, applying
  add: applying | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus | ready, change applying, applying
  add: applying | census | takeCensus | ready, change applying, applying
  add: applying | stale census |  | ready, change applying, applying
  add: applying | late result | setProbePaths, check, reply 1 done | ready
  add: applying | apply ok | setProbePaths, check, reply 1 done | ready
  add: applying | apply fails | save, reply 1 failed, recover | ready, recovering
  remove: measuring | start |  | ready, change measuring
  remove: measuring | control served |  | ready, change measuring
  remove: measuring | stop | reply 1 stopping, stopped | stopped
  remove: measuring | reload |  | ready, change measuring, 1 waiting
  remove: measuring | dry reload |  | ready, change measuring, 1 waiting
  remove: measuring | drain |  | ready, change measuring, 1 waiting
  remove: measuring | old tag |  | ready, change measuring, 1 waiting
  remove: measuring | detach |  | ready, change measuring, 1 waiting
  remove: measuring | health | saveHealth, apply | ready, change measuring, applying
  remove: measuring | network | readNetwork | ready, change measuring
  remove: measuring | link lost | setProbePaths | ready, change measuring
  remove: measuring | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change measuring, patrolling
  remove: measuring | census | takeCensus | ready, change measuring
  remove: measuring | stale census |  | ready, change measuring
  remove: measuring | late result |  | ready, change measuring
  remove: measuring | measure ok | save | ready, change saving
  remove: measuring | measure fails | reply 1 failed | ready
  drain: saving | start |  | ready, change saving
  drain: saving | control served |  | ready, change saving
  drain: saving | stop |  | stopping, change saving
  drain: saving | reload |  | ready, change saving, 1 waiting
  drain: saving | dry reload |  | ready, change saving, 1 waiting
  drain: saving | drain |  | ready, change saving, 1 waiting
  drain: saving | old tag |  | ready, change saving, 1 waiting
  drain: saving | detach |  | ready, change saving, 1 waiting
  drain: saving | health | saveHealth, apply | ready, change saving, applying
  drain: saving | network | readNetwork | ready, change saving
  drain: saving | link lost | setProbePaths | ready, change saving
  drain: saving | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change saving, patrolling
  drain: saving | census | takeCensus | ready, change saving
  drain: saving | stale census |  | ready, change saving
  drain: saving | late result |  | ready, change saving
  drain: saving | save ok | apply | ready, change applying, applying
  drain: saving | save fails | apply | ready, change applying, applying
  drain: waiting for a plan | start |  | ready, change planning, applying
  drain: waiting for a plan | control served |  | ready, change planning, applying
  drain: waiting for a plan | stop |  | stopping, change planning, applying
  drain: waiting for a plan | reload |  | ready, change planning, applying, 1 waiting
  drain: waiting for a plan | dry reload |  | ready, change planning, applying, 1 waiting
  drain: waiting for a plan | drain |  | ready, change planning, applying, 1 waiting
  drain: waiting for a plan | old tag |  | ready, change planning, applying, 1 waiting
  drain: waiting for a plan | detach |  | ready, change planning, applying, 1 waiting
  drain: waiting for a plan | health | saveHealth | ready, change planning, applying
  drain: waiting for a plan | network | readNetwork | ready, change planning, applying
  drain: waiting for a plan | link lost | setProbePaths | ready, change planning, applying
  drain: waiting for a plan | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus | ready, change planning, applying
  drain: waiting for a plan | census | takeCensus | ready, change planning, applying
  drain: waiting for a plan | stale census |  | ready, change planning, applying
  drain: waiting for a plan | late result | setProbePaths, apply | ready, change applying, applying
  drain: waiting for a plan | apply ok | setProbePaths, apply | ready, change applying, applying
  drain: waiting for a plan | apply fails | recover | ready, change planning, recovering
  drain: applying | start |  | ready, change applying, applying
  drain: applying | control served |  | ready, change applying, applying
  drain: applying | stop |  | stopping, change applying, applying
  drain: applying | reload |  | ready, change applying, applying, 1 waiting
  drain: applying | dry reload |  | ready, change applying, applying, 1 waiting
  drain: applying | drain |  | ready, change applying, applying, 1 waiting
  drain: applying | old tag |  | ready, change applying, applying, 1 waiting
  drain: applying | detach |  | ready, change applying, applying, 1 waiting
  drain: applying | health | saveHealth | ready, change applying, applying
  drain: applying | network | readNetwork | ready, change applying, applying
  drain: applying | link lost | setProbePaths | ready, change applying, applying
  drain: applying | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus | ready, change applying, applying
  drain: applying | census | takeCensus | ready, change applying, applying
  drain: applying | stale census |  | ready, change applying, applying
  drain: applying | late result | setProbePaths, check, reply 1 done | ready
  drain: applying | apply ok | setProbePaths, check, reply 1 done | ready
  drain: applying | apply fails | save, reply 1 failed, recover | ready, recovering
  detaching | start |  | ready, change detaching
  detaching | control served |  | ready, change detaching
  detaching | stop |  | stopping, change detaching
  detaching | reload |  | ready, change detaching, 1 waiting
  detaching | dry reload |  | ready, change detaching, 1 waiting
  detaching | drain |  | ready, change detaching, 1 waiting
  detaching | old tag |  | ready, change detaching, 1 waiting
  detaching | detach |  | ready, change detaching, 1 waiting
  detaching | health | saveHealth, apply | ready, change detaching, applying
  detaching | network | readNetwork | ready, change detaching
  detaching | link lost | setProbePaths | ready, change detaching
  detaching | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change detaching, patrolling
  detaching | census | takeCensus | ready, change detaching
  detaching | stale census |  | ready, change detaching
  detaching | late result |  | ready, change detaching
  detaching | detach ok | reply 1 done | ready
  detaching | detach fails | reply 1 failed | ready
  attaching | start |  | ready, change attaching
  attaching | control served |  | ready, change attaching
  attaching | stop |  | stopping, change attaching
  attaching | reload |  | ready, change attaching, 1 waiting
  attaching | dry reload |  | ready, change attaching, 1 waiting
  attaching | drain |  | ready, change attaching, 1 waiting
  attaching | old tag |  | ready, change attaching, 1 waiting
  attaching | detach |  | ready, change attaching, 1 waiting
  attaching | health | saveHealth, apply | ready, change attaching, applying
  attaching | network | readNetwork | ready, change attaching
  attaching | link lost | setProbePaths | ready, change attaching
  attaching | tick | watchPins, listSetAside, readCounters, readNetwork, takeCensus, patrol | ready, change attaching, patrolling
  attaching | census | takeCensus | ready, change attaching
  attaching | stale census |  | ready, change attaching
  attaching | late result |  | ready, change attaching
  attaching | attach ok | reply 2 done | ready
  attaching | attach fails | reply 2 failed | ready
  stopping | start |  | stopping, change applying, applying
  stopping | control served |  | stopping, change applying, applying
  stopping | stop |  | stopping, change applying, applying
  stopping | reload | reply 90 stopping | stopping, change applying, applying
  stopping | dry reload | reply 95 stopping | stopping, change applying, applying
  stopping | drain | reply 91 stopping | stopping, change applying, applying
  stopping | old tag | reply 92 stopping | stopping, change applying, applying
  stopping | detach | reply 93 stopping | stopping, change applying, applying
  stopping | health | saveHealth | stopping, change applying, applying
  stopping | network |  | stopping, change applying, applying
  stopping | link lost |  | stopping, change applying, applying
  stopping | tick |  | stopping, change applying, applying
  stopping | census | replyCensus | stopping, change applying, applying
  stopping | stale census |  | stopping, change applying, applying
  stopping | late result | setProbePaths, check, reply 1 done, stopped | stopped
  stopping | apply ok | setProbePaths, check, reply 1 done, stopped | stopped
  stopping | apply fails | save, reply 1 failed, recover | stopping, recovering
  stopped | start |  | stopped
  stopped | control served |  | stopped
  stopped | stop | stopped | stopped
  stopped | reload | reply 90 stopping | stopped
  stopped | dry reload | reply 95 stopping | stopped
  stopped | drain | reply 91 stopping | stopped
  stopped | old tag | reply 92 stopping | stopped
  stopped | detach | reply 93 stopping | stopped
  stopped | health |  | stopped
  stopped | network |  | stopped
  stopped | link lost |  | stopped
  stopped | tick |  | stopped
  stopped | census | replyCensus | stopped
  stopped | stale census |  | stopped
  stopped | late result |  | stopped
  """
