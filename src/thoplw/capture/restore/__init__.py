"""Leave the user's things as they were: models, inputs, variables of files, settings of torch and of the process.

For example, a forward appends to a list that its model holds: :mod:`.snapshot` has a copy of the list, and puts it
back. A new way to change something of the user's gets its remedy here.
"""
